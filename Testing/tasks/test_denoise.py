"""The denoising task: what it must never do, on real CT with a tiny random network."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.inference.tiles import Tiling
from MedDiffFMLib.tasks.denoise import denoise, merge
from MedDiffFMLib.tasks.denoise_region import QUALITIES, DenoiseSettings
from MedDiffFMLib.tasks.settings import settings_for
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume


def _with_config(model, config):
    return replace(model, config=config)


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    """A corner of the real abdomen with body, bone and air: 16 × 64 × 60 voxels of 3 mm, one window high."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[0:60, 20:84, 44:60], "abdomen")


def test_result_keeps_the_grid_and_type(ct, tiny_model):
    result = denoise(ct, tiny_model, sigma=20, quality="fast", region="abdomen")
    assert (result.volume.spacing, result.volume.origin, result.volume.direction) == (
        ct.spacing,
        ct.origin,
        ct.direction,
    )
    assert result.volume.voxels.dtype == ct.voxels.dtype == np.int16
    assert not np.array_equal(result.volume.voxels, ct.voxels)


def test_hu_outside_body_and_window_are_untouched(ct, tiny_model):
    """Bit-identical: outside the body, and more than 3 σ beyond the abdomen's window of [-120, 240] HU."""
    result = denoise(ct, tiny_model, sigma=20, quality="balanced", steps=2, region="abdomen", strength="full")
    body = body_mask(np.asarray(sitk.GetArrayFromImage(sitk.DICOMOrient(ct.to_sitk(), "RAS")), np.float32))
    body = body[:, ::-1, ::-1]  # the file is LPS: x and y turned
    beyond = (ct.voxels < -120 - 60) | (ct.voxels > 240 + 60)
    assert beyond[body].sum() > 500 and (~body).sum() > 500
    kept = beyond | ~body
    assert np.array_equal(result.volume.voxels[kept], ct.voxels[kept])


AT_1_MM = {"tasks": {"denoise": {"fast": {"spacing_mm": 1.0}}}}


def test_hu_are_untouched_when_computed_on_another_grid(ct, tiny_model):
    """The same where a model computes at 1 mm: bone keeps its HU to the last bit, and no edge of the scan turns to air.
    13 × 3.1 mm are 40.3 mm, which the frame rounds to 40.
    """
    volume = Volume(ct.voxels[:4, 20:33, 10:50], (0.49, 3.1, 3.0), source="crop")
    model = _with_config(tiny_model, AT_1_MM)
    result = denoise(volume, model, sigma=20, quality="fast", region="abdomen").volume
    beyond = (volume.voxels < -160 - 60) | (volume.voxels > 240 + 60)
    assert beyond.sum() > 20 and not np.array_equal(result.voxels, volume.voxels)
    assert np.array_equal(result.voxels[beyond], volume.voxels[beyond])
    assert np.abs(result.voxels.astype(int) - volume.voxels).max() <= 80


def test_a_wrong_sigma_cannot_do_much(ct, tiny_model):
    """Even if the network is made to see forty times the noise, no voxel moves by more than 4 σ."""
    model = _with_config(tiny_model, {"tasks": {"denoise": {"fast": {"sigma_scale": 40}}}})
    result = denoise(ct, model, sigma=5, quality="fast", region="abdomen", strength="full")
    change = np.abs(result.volume.voxels.astype(int) - ct.voxels)
    assert change.max() == 20


@pytest.fixture(scope="module")
def reference(ct, tiny_model) -> Volume:
    return denoise(ct, tiny_model, sigma=20, quality="fast", region="abdomen").volume


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "ASL", "SPR"])
def test_every_orientation_gives_the_same_voxels(ct, reference, tiny_model, orientation):
    """The same scan stored with other axes is the same scan."""
    turned = Volume.from_sitk(sitk.DICOMOrient(ct.to_sitk(), orientation), "turned")
    result = denoise(turned, tiny_model, sigma=20, quality="fast", region="abdomen").volume
    assert (result.spacing, result.origin, result.direction) == (turned.spacing, turned.origin, turned.direction)
    back = Volume.from_sitk(sitk.DICOMOrient(result.to_sitk(), "LPS"))
    assert np.array_equal(back.voxels, reference.voxels)


def test_oblique_and_anisotropic_come_back_on_their_grid(ct, tiny_model):
    """Tilted by 20° about x, 1.1 × 0.9 × 4 mm, computed at 1 mm."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    tilted = Volume(
        ct.voxels[:6, :20, :20], (1.1, 0.9, 4.0), (12.5, -7.25, 3.0), (1, 0, 0, 0, c, -s, 0, s, c), "tilted"
    )
    model = _with_config(tiny_model, AT_1_MM)
    result = denoise(tilted, model, sigma=20, quality="fast", region="abdomen").volume
    assert result.voxels.shape == tilted.voxels.shape
    assert (result.spacing, result.origin, result.direction) == (tilted.spacing, tilted.origin, tilted.direction)
    assert np.abs(result.voxels.astype(float) - tilted.voxels).max() < 400  # not shifted: bone stays on bone


def test_the_seed_decides_the_voxels(ct, tiny_model):
    config = {"tasks": {"denoise": {"balanced": {"zeta": 0.5}}}}
    model = _with_config(tiny_model, config)
    run = lambda seed: denoise(ct, model, sigma=40, quality="balanced", steps=2, region="abdomen", seed=seed)  # noqa: E731
    first, again, other = (run(seed).volume.voxels for seed in (7, 7, 8))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_batches_of_windows_do_not_change_the_voxels(ct, tiny_model, monkeypatch):
    """One window at a time, as on a CPU, and five at once, as on a GPU: the same HU after rounding."""
    run = lambda: denoise(ct, tiny_model, sigma=20, quality="fast", region="abdomen", seed=3).volume.voxels  # noqa: E731
    one = run()
    monkeypatch.setattr(DenoiseSettings, "tiling", property(lambda of: Tiling(of.overlap, of.tile_weights, batch=5)))
    assert np.array_equal(run(), one)


def test_settings_come_from_the_models_config(tiny_model):
    model = _with_config(tiny_model, {"tasks": {"denoise": {"fast": {"sigma_scale": 1.3}}}})
    assert settings_for(model, "denoise", QUALITIES["fast"], "fast").sigma_scale == 1.3
    assert settings_for(model, "denoise", QUALITIES["fast"], "fast").steps == 1
    paper = settings_for(model, "denoise", QUALITIES["paper"], "paper")
    assert (paper.spacing_mm, paper.prior_weight, paper.steps) == (1.0, 10.0, None)
    assert paper.windows_hu["chest"] == (-160.0, 240.0)


def test_cancel_stops_within_one_window(ct, tiny_model):
    events = []

    def progress(p):
        events.append(p)
        if p.window == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        denoise(ct, tiny_model, progress=progress, sigma=20, quality="balanced", region="abdomen")
    assert events[-1].step == 0 and events[-1].window == 2
    assert events[-1].windows > 4 and 0 < events[-1].fraction < 1


def test_progress_covers_all_steps_and_ends_at_one(ct, tiny_model):
    events = []
    result = denoise(ct, tiny_model, progress=events.append, sigma=30, quality="balanced", steps=3, region="abdomen")
    fractions = [p.fraction for p in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert fractions[0] == 0.0 and events[-1].steps == 3 and events[-1].seconds_left == 0
    assert result.facts.network_evaluations == 3 * result.facts.windows
    assert result.facts.regions[0].timesteps[-1] == 0


def test_sigma_auto_needs_tissue(tiny_model):
    lung = np.full((4, 40, 40), -850, np.int16)
    lung[:, :4] = 1200  # bone, so that it can be CT
    with pytest.raises(InputError, match="--sigma"):
        denoise(Volume(lung, source="lung.nii.gz"), tiny_model, quality="fast", region="chest")


def test_unusable_anatomy_is_refused(ct, tiny_model):
    """What the 7-plane code cannot hold, labels on another grid, and a path where a label map is meant."""
    organs = np.where(ct.voxels > 0, 51, 0).astype(np.uint16)
    far = replace(ct.with_voxels(organs), origin=(0.0, 0.0, 999.0))
    for anatomy, words in (
        (ct.with_voxels(organs + 256), "0 to 121"),
        (far, "grid"),
        ("organs.nii.gz", "read_anatomy"),
    ):
        with pytest.raises(InputError, match=words):
            denoise(ct, tiny_model, anatomy=anatomy, sigma=20, quality="fast", region="abdomen")


def test_given_organs_change_the_result(ct, tiny_model):
    """The anatomy condition reaches the network, and the result says what it was given."""
    options = {"sigma": 20, "quality": "fast", "region": "abdomen"}
    organs = replace(ct.with_voxels(np.where(ct.voxels > 0, 51, 0).astype(np.uint8)), resampled=True)
    given = denoise(ct, tiny_model, anatomy=organs, **options)
    auto, none = (denoise(ct, tiny_model, anatomy=word, **options) for word in ("auto", "none"))
    assert (given.facts.anatomy, auto.facts.anatomy) == ("given, resampled", "auto")
    assert not np.array_equal(given.volume.voxels, auto.volume.voxels)
    assert not np.array_equal(none.volume.voxels, auto.volume.voxels)


def test_a_models_unknown_setting_is_said(tiny_model):
    model = _with_config(tiny_model, {"tasks": {"denoise": {"fast": {"sharpness": 2}}}})
    with pytest.raises(InputError, match="sharpness"):
        settings_for(model, "denoise", QUALITIES["fast"], "fast")


def test_an_mr_is_refused(tiny_model):
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"mr\.nii\.gz"):
        denoise(Volume(rng.integers(0, 4000, (4, 32, 32)).astype(np.float32), source="mr.nii.gz"), tiny_model)


def test_merge_by_hand():
    """Window [-100, 200], σ = 10. One voxel a case, all in the body but the last."""
    cases = [  # input, estimate, expected
        (50, 60, 60),  # inside: the estimate
        (50, 120, 90),  # the change is bounded by 4 σ
        (600, 200, 600),  # bone is kept
        (-1000, -100, -1000),  # gas is kept
        (-110, -80, -80),  # beyond by noise alone: the estimate is well inside
        (-110, -99, -110),  # beyond, and the estimate says so too: kept
        (235, 150, 235),  # 3.5 σ beyond is not noise
    ]
    hu, estimate, expected = (np.array([c[i] for c in cases], np.float32).reshape(1, 1, -1) for i in range(3))
    body = np.ones(hu.shape, bool)
    assert np.array_equal(merge(hu, estimate, body, (-100, 200), 10), expected)
    assert np.array_equal(merge(hu, estimate, ~body, (-100, 200), 10), hu)
