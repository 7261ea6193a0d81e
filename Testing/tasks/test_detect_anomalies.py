"""Anomaly detection on a real CT: a network that knows the healthy liver finds what was put into it."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from exact_model import ExactNetwork, Prior, exact_model

from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies, look
from MedDiffFMLib.tasks.pseudo_healthy import healthy_start, smooth_within
from MedDiffFMLib.volumes.io import read_labels, read_volume
from MedDiffFMLib.volumes.volume import Volume

LIVER = 5
CENTER = (32, 33, 25)  # (z, y, x) of a voxel 24 mm or more from the liver's surface
RADIUS_MM = 12.0
OWN_GRID = {"tasks": {"detect-anomalies": {"spacing_mm": None}}}


@pytest.fixture(scope="module")
def liver(data) -> tuple[Volume, Volume]:
    """A part of the real abdomen with the liver's dome, 3 mm, and its label map."""
    box = (slice(8, 80), slice(10, 80), slice(72, 112))
    ct, labels = (
        Volume.from_sitk(image.to_sitk()[box], "abdomen")
        for image in (
            read_volume(data / "abd_ts_example.nii.gz"),
            read_labels(data / "abd_ts_example_seg.nii.gz"),
        )
    )
    return ct, labels


def ball(volume: Volume, center=CENTER, radius=RADIUS_MM) -> np.ndarray:
    z, y, x = (s * (i - c) for s, i, c in zip(volume.spacing, np.indices(volume.voxels.shape), center, strict=True))
    return z**2 + y**2 + x**2 <= radius**2


def with_lesion(volume: Volume, hu: int) -> Volume:
    voxels = volume.voxels.copy()
    voxels[ball(volume)] += hu
    return volume.with_voxels(voxels)


def healthy(ct: Volume, labels: Volume, **options) -> "exact_model":
    """Knows the mean of this liver and of the rest, in the abdomen's window."""
    inside = np.clip(ct.voxels[labels.voxels == LIVER], -120, 240)
    return exact_model(Prior({LIVER: float(inside.mean())}, (-120, 240), other=20.0), **options)


def find(ct, labels, model, **parameters):
    return detect_anomalies(ct, model, labels, organ="liver", region="abdomen", **parameters)


def as_ras(volume: Volume, index) -> np.ndarray:
    point = volume.to_sitk().TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
    return np.array(point) * (-1, -1, 1)


@pytest.mark.parametrize("config", [OWN_GRID, {"tasks": {"detect-anomalies": {"spacing_mm": 2.0}}}])
@pytest.mark.parametrize("hu", [80, -80])
def test_a_ball_put_into_a_real_liver_is_found_at_its_place(liver, hu, config):
    """Place within a voxel, volume within 25 %, its sign and the organ's name; on the CT's own grid and on another."""
    ct, labels = liver
    truth = ball(ct)
    assert (labels.voxels[truth] == LIVER).all()
    result = find(with_lesion(ct, hu), labels, healthy(ct, labels, config=config))
    first = result.findings[0]
    assert (first["finding"], first["organ"]) == (1, "liver")
    assert first["deviation"] == ("brighter" if hu > 0 else "darker")
    place = np.array([first[f"center_{axis}_mm"] for axis in "ras"])
    assert np.abs(place - as_ras(ct, CENTER)).max() < 3
    assert abs(first["volume_ml"] / (truth.sum() * 0.027) - 1) < 0.25
    assert 50 < abs(first["peak_hu"]) < 110 and np.sign(first["peak_hu"]) == np.sign(first["mean_hu"]) == np.sign(hu)
    found = result.mask.voxels.astype(bool)
    assert 2 * (found & truth).sum() / ((found & ball(ct, radius=20)).sum() + truth.sum()) > 0.85
    assert abs(result.map.voxels[ball(ct, radius=7)].mean() - hu) < 12  # smoothed by 2 mm


def test_the_map_is_image_minus_expected_and_nothing_outside_the_organ(liver):
    """Without smoothing on the CT's own grid: each liver voxel is its HU (to the window's ends) less the mean the
    network knows, to 1 HU; elsewhere 0.
    """
    ct, labels = liver
    model = healthy(ct, labels, config=OWN_GRID)
    result = find(ct, labels, model, smoothing=0)
    organ = labels.voxels == LIVER
    seen = np.clip(ct.voxels[organ], -120, 240).astype(float)
    np.testing.assert_allclose(result.map.voxels[organ], seen - seen.mean(), atol=1)
    assert result.map.voxels.dtype == np.float32 and not result.map.voxels[~organ].any()
    assert result.mask.voxels.dtype == np.uint8 and set(np.unique(result.mask.voxels)) <= {0, 1}
    assert not result.mask.voxels[~organ].any()
    assert result.map.same_grid(ct) and result.mask.same_grid(ct)
    absolute = find(ct, labels, model, smoothing=0, deviation="absolute")
    np.testing.assert_array_equal(absolute.map.voxels, np.abs(result.map.voxels))


def test_thresholds_in_hu_and_the_smallest_volume(liver):
    """A threshold of 40 HU on the unsmoothed map is the mask, part for part; large parts alone stay."""
    ct, labels = liver
    lesion, model = with_lesion(ct, 80), healthy(ct, labels, config=OWN_GRID)
    every = find(lesion, labels, model, smoothing=0, threshold=40, min_volume=0)
    np.testing.assert_array_equal(every.mask.voxels == 1, np.abs(every.map.voxels) >= 40)
    assert every.facts.threshold_hu == 40 and every.facts.threshold_counts_from_hu == 0
    large = find(lesion, labels, model, smoothing=0, threshold=40, min_volume=5)
    assert [row["finding"] for row in large.findings] == [1]
    assert large.mask.voxels.sum() * 0.027 == pytest.approx(large.findings[0]["volume_ml"], abs=1e-3)
    assert len(every.findings) > 5 and min(row["volume_ml"] for row in every.findings) == 0.027


def test_the_automatic_threshold_is_robust(liver):
    """3.5 × 1.4826·MAD from the median, computed here by hand; it does not move with the organ's own shift."""
    ct, labels = liver
    model = healthy(ct, labels, config=OWN_GRID)
    result = find(ct, labels, model)
    values = result.map.voxels[labels.voxels == LIVER]
    median = np.median(values)
    assert result.facts.threshold_hu == pytest.approx(3.5 * 1.4826 * np.median(abs(values - median)), abs=0.01)
    brighter = find(ct.with_voxels(ct.voxels + np.int16(30)), labels, model)  # as another contrast phase
    assert brighter.facts.threshold_counts_from_hu - result.facts.threshold_counts_from_hu > 25
    assert brighter.facts.threshold_hu == pytest.approx(result.facts.threshold_hu, rel=0.1)


def test_only_windows_that_meet_the_organ_are_computed(liver):
    ct, labels = liver
    small = labels.with_voxels(np.where(ball(ct), LIVER, 0).astype(np.uint8))
    model = healthy(ct, labels, patch=16, config=OWN_GRID)
    result = find(ct, small, model, draws=2)
    assert 0 < result.facts.windows < result.facts.windows_left_out
    assert model.network.calls == result.facts.network_evaluations == 2 * result.facts.windows
    assert result.facts.organ_ml == pytest.approx(ball(ct).sum() * 0.027, abs=0.01)


class Recording(ExactNetwork):
    """Keeps what it was shown."""

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        self.seen = x_t, anatomy.sum(dim=1, keepdim=True) > 0
        return super().forward(x_t, t, position, anatomy, region)


@pytest.mark.parametrize("alone", [True, False])
def test_the_network_sees_the_organ_in_air_or_in_the_body(liver, alone):
    """The paper's masked image: around the organ −1, the abdomen's air, and no anatomy; or, if so set, the CT. With a
    noise level of 1, x_t is x_0 but for 0.6 %.
    """
    ct, labels = liver
    config = {"tasks": {"detect-anomalies": {"spacing_mm": None, "organ_alone": alone}}}
    model = healthy(ct, labels, patch=96, config=config, network=Recording)
    find(ct, labels, model, noise_level=1)
    x_t, code = (v[0, 0, :40, :70, :72].numpy()[:, ::-1, ::-1] for v in model.network.seen)  # the file is LPS
    organ = labels.voxels == LIVER
    np.testing.assert_allclose(x_t[organ], (np.clip(ct.voxels[organ], -120, 240) + 120) / 180 - 1, atol=0.1)
    assert code[organ].all()
    elsewhere = labels.voxels == 1  # spleen
    assert code[elsewhere].any() != alone
    assert (abs(x_t[elsewhere] + 1).max() < 0.1) == alone


@pytest.mark.parametrize("organ", ["liver", "body"])
@pytest.mark.parametrize("painted", [True, False])
def test_an_organ_of_one_tissue_may_be_painted_in_its_median_before_the_noise(liver, organ, painted):
    """A network that believes whatever it sees: at a noise level of 1 it gives back what it was shown to about 1 HU. So
    the map is HU − median where the organ was painted, and nothing where it was not: the body is of several tissues.
    """
    ct, labels = liver
    lesion = with_lesion(ct, 80)
    settings = {"spacing_mm": None, "organ_alone": False, "organ_painted": painted}
    model = exact_model(Prior({}, (-120, 240), deviation_hu=3000.0), config={"tasks": {"detect-anomalies": settings}})
    result = detect_anomalies(
        lesion, model, labels, organ=organ, region="abdomen", noise_level=1, smoothing=0, threshold=40, min_volume=5
    )
    counted = labels.voxels == LIVER if organ == "liver" else result.map.voxels != 0
    seen = np.clip(lesion.voxels[counted], -120, 240).astype(float)
    away = seen - np.median(seen) if (painted, organ) == (True, "liver") else 0
    np.testing.assert_allclose(result.map.voxels[counted], away, atol=8)  # 1 HU of noise, its largest of 10,000s
    assert (result.facts.noised == "scan") == (not painted or organ == "body")
    assert bool(result.findings) == (painted and organ == "liver")


def test_what_is_painted_is_the_median_however_large_the_lesion():
    """Four tenths of an organ are 0.6 brighter: its voxels become the healthy rest's, what lies around it stays. Of two
    tissues that are half of it each there is no such value, unless it is known which of them is healthy.
    """
    x = np.full((10, 20, 20), -0.8, np.float32)
    organ = np.zeros(x.shape, bool)
    organ[2:8, 2:18, 2:18] = True
    x[organ] = 0.1
    x[2:8, 2:8, 2:18] = 0.7
    start = healthy_start(x, organ, (3.0, 3.0, 3.0))
    assert (start[organ] == np.float32(0.1)).all() and (start[~organ] == np.float32(-0.8)).all()
    x[2:8, 2:10, 2:18] = 0.7
    assert healthy_start(x, organ, (3.0, 3.0, 3.0)) is None
    assert healthy_start(x, organ, (3.0, 3.0, 3.0), healthy_below=0.0) is None  # nothing of it is
    start = healthy_start(x, organ, (3.0, 3.0, 3.0), healthy_below=0.5)
    assert (start[organ] == np.float32(0.1)).all() and (start[~organ] == np.float32(-0.8)).all()


@pytest.mark.parametrize("organ", ["lungs", "body"])
def test_a_lung_that_is_tumor_to_a_half_is_painted_as_lung(organ):
    """Half of a lung of −830 HU is 40 HU. A network that believes what it sees makes the map HU + 830 there and 0 in
    the rest. Of a body nobody knows which tissue is healthy: nothing is painted.
    """
    hu = np.full((16, 32, 32), -830, np.int16)
    hu[:, :16] = 40
    ct = Volume(hu, (2.0, 2.0, 2.0))
    labels = ct.with_voxels(np.full(hu.shape, 10 if organ == "lungs" else 118, np.uint8))  # 10: a lobe
    settings = {"spacing_mm": None, "organ_alone": False, "organ_painted": True}
    model = exact_model(Prior({}, (-1400, 400), deviation_hu=9000.0), config={"tasks": {"detect-anomalies": settings}})
    arguments = {"organ": organ, "region": "chest", "noise_level": 1, "smoothing": 0}
    map_hu = detect_anomalies(ct, model, labels, **arguments).map.voxels
    np.testing.assert_allclose(map_hu, np.where(hu == 40, 870 if organ == "lungs" else 0, 0), atol=40)


def test_more_draws_average_the_noise_out(liver, tiny_model):
    """A random network's estimate differs with the noise; the same seed gives the same voxels. Draws average it."""
    box = (slice(15, 35), slice(23, 43), slice(22, 42))
    ct, labels = (Volume(v.voxels[box[::-1]], v.spacing) for v in liver)
    model = replace(tiny_model, config=OWN_GRID)

    def run(seed, draws=1, t=300):
        result = find(ct, labels, model, seed=seed, draws=draws, noise_level=t, smoothing=0)
        return result.map.voxels[labels.voxels == LIVER]

    one, other = run(1), run(2)
    assert np.array_equal(one, run(1)) and not np.array_equal(one, other)
    spread = np.std(one - other)
    assert np.std(run(1, draws=4) - run(11, draws=4)) < 0.75 * spread  # a half if they were independent
    assert not np.array_equal(one, run(1, t=700))
    assert np.abs(run(1, t=990)).max() <= 360  # the window's width, however wrong x_0 is


def test_oblique_and_turned_scans_have_the_same_findings_in_space(liver):
    """Stored with other axes: the same rows, to the last digit."""
    ct, labels = (replace(v, direction=(0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)) for v in liver)
    lesion, model = with_lesion(ct, 80), healthy(ct, labels, config=OWN_GRID)
    turned = [
        Volume.from_sitk(sitk.Flip(sitk.PermuteAxes(v.to_sitk(), (2, 0, 1)), (True, False, True)))
        for v in (lesion, labels)
    ]
    first, second = find(lesion, labels, model).findings[0], find(*turned, model).findings[0]
    place = np.array([first[f"center_{axis}_mm"] for axis in "ras"])
    assert np.abs(place - as_ras(ct, CENTER)).max() < 3
    assert first == second


def test_lungs_and_bones_are_found_without_a_label_map(data):
    ct = Volume.from_sitk(read_volume(data / "chest_ts_aorta.nii.gz").to_sitk()[0:60, 0:60, 40:80], "chest")
    model = exact_model(Prior({119: -850.0}, (-1400, 400)), config=OWN_GRID)
    result = detect_anomalies(ct, model, organ="lung", region="chest")
    inside = ct.voxels[result.map.voxels != 0]
    assert len(inside) > 1000 and np.median(inside) < -600
    assert result.facts.anatomy == "auto"
    for row in result.findings:
        assert row["organ"] == "lung"


def test_smoothing_weighs_the_organ_alone():
    """A constant map stays constant up to the border; a point spreads over σ mm, whatever the spacing."""
    organ = np.zeros((21, 21, 41), bool)
    organ[4:17, 4:17, 4:37] = True
    flat = smooth_within(np.where(organ, 7.0, 0.0), organ, 3.0, (2.0, 2.0, 1.0))
    np.testing.assert_allclose(flat[organ], 7.0, rtol=1e-5)
    point = np.zeros(organ.shape)
    point[10, 10, 20] = 1
    spread = smooth_within(point, np.ones_like(organ), 3.0, (2.0, 2.0, 1.0))
    at = np.exp(-(6**2) / (2 * 3**2))  # 6 mm away in a Gaussian of 3 mm
    assert spread[10, 10, 26] / spread[10, 10, 20] == pytest.approx(at, rel=0.02)
    assert spread[13, 10, 20] / spread[10, 10, 20] == pytest.approx(at, rel=0.02)


@pytest.mark.parametrize(
    ("organ", "anatomy", "sentence"),
    [
        ("liver", "auto", "cannot be found by threshold: give a label map"),
        ("spline", "auto", "no organ 'spline': did you mean"),
        ("spleen", "given", "There is no spleen in the anatomy"),
    ],
)
def test_organs_that_cannot_be_looked_at(liver, organ, anatomy, sentence):
    ct, labels = liver
    only_liver = labels.with_voxels(np.where(labels.voxels == LIVER, LIVER, 0).astype(np.uint8))
    model = healthy(ct, labels, config=OWN_GRID)
    with pytest.raises(InputError, match=sentence):
        detect_anomalies(ct, model, only_liver if anatomy == "given" else anatomy, organ=organ)
    assert model.network.calls == 0


def test_cancelled_within_a_window(liver):
    ct, labels = liver
    model = healthy(ct, labels, patch=16, config=OWN_GRID)

    def stop(progress):
        if progress.window:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        find(ct, labels, model, progress=stop)
    assert model.network.calls == 1


def test_look_says_what_a_run_takes(liver):
    """As many network evaluations as the run counts; an organ that no threshold finds is refused."""
    ct, labels = liver
    model = healthy(ct, labels, config=OWN_GRID)
    seen = look(ct, model, labels, organ="liver", region="abdomen", draws=2)
    facts = find(ct, labels, model, draws=2).facts
    assert seen["network_evaluations"] == facts.network_evaluations > 0 and seen["seconds_each"] > 0
    assert (seen["region"], seen["organ_ml"]) == ("abdomen", facts.organ_ml)
    with pytest.raises(InputError, match="spleen"):
        look(ct, model, "threshold", organ="spleen")
