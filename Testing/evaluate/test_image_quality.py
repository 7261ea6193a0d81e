"""`meddiff-fm evaluate image-quality`: scenes by hand, measures of methods that are known, and the command."""

import json
from functools import partial

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")
pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.cases.image_quality import disc_patch, patient, phantom
from MedDiffFMTraining.evaluate.tasks.image_quality_measures import (
    DISCS,
    INSERTS_HU,
    Images,
    measure,
    with_disc,
    with_inserts,
)

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def scene():
    return phantom(10)


@pytest.fixture(scope="module")
def given(scene):
    """White noise of 20 HU in four repeats of each kind."""
    hu = scene.plain.voxels
    white = lambda: RNG.normal(0, 20, hu.shape)  # noqa: E731
    discs = {disc: [hu + with_disc(scene, disc) + white() for _ in range(4)] for disc in DISCS}
    return Images([hu + white() for _ in range(4)], discs, hu + with_inserts(scene) + white())


def test_the_phantom_and_what_is_planted(scene):
    """A cylinder of 170 mm in 192 pixels: π·85² mm² of tissue. Places 52 mm from the middle. A disc of 10 mm holds
    π·25 mm² in pixels of 0.7 mm, centered on pixel 16.
    """
    tissue = scene.plain.voxels > -480
    assert tissue[0].sum() == pytest.approx(np.pi * 85**2, rel=0.01)
    assert scene.plain.voxels[tissue].mean() == pytest.approx(40, abs=8) and len(scene.places) == 8
    assert np.hypot(*(np.array(scene.places) - 95.5).T) == pytest.approx(52, abs=0.8)
    patch = disc_patch(10, 0.7)
    assert patch.sum() * 0.49 == pytest.approx(25 * np.pi, rel=0.01)
    assert ndimage.center_of_mass(patch) == pytest.approx((16, 16), abs=0.01)
    inserts = with_inserts(scene) + scene.plain.voxels
    found = [inserts[:, y, x].mean() for y, x in scene.places]
    assert found == pytest.approx([*INSERTS_HU, *INSERTS_HU], abs=1)


def test_the_input_is_measured_as_it_is(scene, given):
    """White noise: 20 HU, flat up to 0.5 mm⁻¹. Edges: a Gaussian of 0.425 mm and pixels of 1 mm leave one half at
    0.362 mm⁻¹, where e^{−2π²·0.18·f²}·sin(πf)/(πf) is ½. The larger, fainter disc is seen about as well.
    """
    found = measure(scene, given)
    assert found.noise.sigma == pytest.approx(20, rel=0.02) and found.bias_hu == pytest.approx(0, abs=0.2)
    assert found.noise.mean_frequency == pytest.approx(0.266, rel=0.03)
    for value in INSERTS_HU:
        assert found.transfers[value].half == pytest.approx(0.362, rel=0.12 if abs(value - 40) < 100 else 0.05)
    for responses in found.seen.values():
        assert len(responses.present) == len(responses.absent) == 4 * 8 * 10
        low, high = responses.interval()
        assert 0.5 < low < responses.d_prime < high < 3


def test_a_blur_and_a_shift_are_found(scene, given):
    """A Gaussian of 1 pixel before a shift of 3 HU: σ² + 0.18 mm², so that one half is left at 0.167 mm⁻¹ with the
    pixel's share, and noise of 20/(2√π) = 5.6 HU.
    """
    blur = partial(ndimage.gaussian_filter, sigma=(0, 1, 1))
    found = measure(scene, given.each(lambda image: blur(image) + 3))
    assert found.noise.sigma == pytest.approx(5.64, rel=0.05) and found.bias_hu == pytest.approx(3, abs=0.2)
    assert found.transfers[-1000.0].half == pytest.approx(0.167, rel=0.05)
    assert found.noise.mean_frequency < 0.15
    half = measure(scene, given.mixed(given.each(lambda image: image * 0), 50))
    assert half.noise.sigma == pytest.approx(10, rel=0.02)


def test_what_hides_a_disc_lowers_its_lower_bound(scene, given):
    """Putting all voxels of tissue back to 40 HU leaves no disc, and the ratio near none; noise alone does not."""
    before = measure(scene, given)
    hidden = measure(scene, given.each(lambda image: 40 + RNG.normal(0, 5, image.shape)))
    for disc in DISCS:
        assert hidden.seen[disc].ratio_interval(before.seen[disc])[0] < 0.3
        assert before.seen[disc].ratio_interval(before.seen[disc]) == (1, 1)


def test_places_of_a_patient_are_even_soft_tissue():
    """Tissue of 50 HU with a bone and a lung: no place near them, none near another; none at all in lung."""
    hu = np.full((8, 160, 160), 50, np.float32) + RNG.normal(0, 5, (8, 160, 160)).astype(np.float32)
    hu[:, 60:80, 60:80], hu[:, :, 120:] = 700, -850
    places = np.array(patient("one", "abdomen", Volume(hu, (1.0, 1.0, 3.0))).places)
    assert 4 <= len(places) <= 8 and (places[:, 1] < 120 - 9).all() and (places >= 16).all()
    assert (np.abs(places - 70).max(axis=1) > 15).all()
    apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    assert apart[~np.eye(len(places), dtype=bool)].min() >= 24
    with pytest.raises(InputError, match="two has even soft tissue in 0 places only"):
        patient("two", "chest", Volume(np.full_like(hu, -850)))


def test_the_command_measures_a_tool_in_the_phantom(run, tmp_path):
    report, picture = tmp_path / "r.json", tmp_path / "curves.png"
    options = ("--slices", 8, "--tools", "tv", "--qualities", "none", "--json", report, "--curves", picture)
    options += ("--simulator", "parallel")
    printed = run("evaluate", "image-quality", *options)
    read = json.loads(report.read_text(encoding="utf-8"))
    assert [row["method"] for row in read["cases"]] == ["input", "total variation"] and picture.is_file()
    before, after = read["cases"]
    assert before["noise_hu"] == pytest.approx(30, rel=0.1) and after["noise_hu"] < before["noise_hu"] / 2
    assert after["nps"]["mean_frequency"] < before["nps"]["mean_frequency"]
    assert [one["pairs"] for one in after["detectability"]] == [128, 128]
    assert (read["sigma_hu"], read["simulator"], read["repeats"], read["slices"]) == (30, "parallel", 2, 8)
    assert "Burgess 1994" in printed and len(read["table"][0]) == 2 + 11
    with pytest.raises(InputError, match=r"no simulator 'cone'"):
        run("evaluate", "image-quality", "--simulator", "cone")
