"""Simulated low dose: the strength asked for, the texture of CT, and the anatomy untouched."""

import numpy as np
import pytest
from small_store import add_case

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.low_dose import (
    NOISE_HU,
    calibrate,
    low_dose_noise,
    ray_variance,
    simulate_low_dose,
    simulate_noise,
)
from MedDiffFMTraining.data.scanner import Scanner
from MedDiffFMTraining.data.store import CaseFacts, open_store


def _disc(edge: int, height: float, width: float) -> np.ndarray:
    """Water (0 HU) in an ellipse of `height` × `width` voxels within air."""
    y, x = np.mgrid[:edge, :edge] - (edge - 1) / 2
    return np.where((2 * y / height) ** 2 + (2 * x / width) ** 2 <= 1, 0.0, -1000.0).astype(np.float32)


def _correlation(a, b) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_noise_in_soft_tissue_is_what_was_asked_for(chest, low):
    hu = chest.voxels.astype(np.float32)
    soft = body_mask(hu) & (hu > -50) & (hu < 150)
    assert soft.sum() > 30_000
    assert (low - hu)[soft].std() == pytest.approx(40, rel=0.01)


def test_anatomy_is_untouched(chest, low):
    """The mean of noise over a large area is zero, in soft tissue as in bone."""
    difference = low - chest.voxels
    body = body_mask(chest.voxels)
    assert abs(difference[body & (chest.voxels > -900)].mean()) < 0.5
    bone = body & (chest.voxels > 250)
    assert abs(difference[bone].mean()) < 3  # few voxels, so the mean itself is noisy
    assert low.min() >= -1024 and low.dtype == np.float32


def test_seed_decides_the_noise(chest, low):
    part = chest.voxels[:2]
    first, again, other = (low_dose_noise(part, 1.5, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert abs(_correlation(first, other)) < 0.05
    scaled = first * ((low - chest.voxels)[1, 60, 60] / first[1, 60, 60])
    inside = low[:2] > -1000
    np.testing.assert_allclose((low - chest.voxels)[:2][inside], scaled[inside], atol=0.1)  # slice by slice, one factor


def test_noise_is_correlated_in_plane_and_not_between_slices(chest, low):
    noise = (low - chest.voxels)[:, 20:-20, 20:-20]
    assert _correlation(noise[:, :, 1:], noise[:, :, :-1]) > 0.2
    assert _correlation(noise[:, 1:], noise[:, :-1]) > 0.2
    assert abs(_correlation(noise[1:], noise[:-1])) < 0.03


def test_thick_paths_make_streaks_and_a_noisy_center():
    """In a body wide in x the rays along x starve: the noise is drawn out along x, and strongest in the middle."""
    body = np.repeat(_disc(128, height=60, width=120)[None], 6, axis=0)
    noise = low_dose_noise(body, 2.5, seed=0)
    middle = noise[:, 50:78, 40:88]
    along_x, along_y = _correlation(middle[:, :, 3:], middle[:, :, :-3]), _correlation(middle[:, 3:], middle[:, :-3])
    assert along_x > along_y + 0.1
    assert noise[:, 54:74, 54:74].std() > 1.5 * noise[:, 5:15, 54:74].std()


def test_noise_grows_with_the_path_as_the_physics_says():
    """In the middle of a cylinder every path is its diameter, so noise goes as √var(p).

    80 mm: p = 1.52, N = 21871, var = 4.593e−5. 180 mm: p = 3.42, N = 3271, var = 3.150e−4. √ of their ratio: 2.62.
    """
    small, large = (np.repeat(_disc(96, edge, edge)[None], 24, axis=0) for edge in (40, 90))
    deviations = [low_dose_noise(hu, 2.0, seed=1)[:, 44:52, 44:52].std() for hu in (small, large)]
    assert deviations[1] / deviations[0] == pytest.approx(2.62, rel=0.1)


def test_path_attenuation_and_its_variance():
    """200 mm of water: p = 0.019 · 200 = 3.8; N = 1e5·e^−3.8 = 2237.1, var = 1/N + 100/N² = 4.670e−4."""
    path = Scanner((128, 128), 2.0).path_attenuation(_disc(128, 100, 100), angles=150)
    assert path.max(axis=1) == pytest.approx(np.full(len(path), 3.8), rel=0.02)
    assert ray_variance(np.array(3.8)) == pytest.approx(4.670e-4, rel=1e-3)
    assert ray_variance(np.array(100.0)) == pytest.approx(101)  # never fewer than one quantum


def test_reconstruction_gives_hu_back():
    """Water is 1000 above air, so its rays come back as 1000, and as 0 around it."""
    scanner, disc = Scanner((128, 128), 2.0), _disc(128, 100, 100)
    image = scanner.reconstruct(scanner.path_attenuation(disc, angles=300))
    assert image[_disc(128, 80, 80) == 0].mean() == pytest.approx(1000, rel=0.01)
    assert abs(image[_disc(128, 110, 110) < 0].mean()) < 15


@pytest.mark.parametrize(
    ("hu", "sigma", "words"),
    [
        (np.zeros((16, 16)), 30, "in axial slices"),
        (np.full((2, 16, 16), -1000.0), 30, "no soft tissue"),
        (np.zeros((2, 16, 16)), 0, "positive number of HU"),
    ],
)
def test_what_cannot_be_simulated_is_refused(hu, sigma, words):
    with pytest.raises(InputError, match=words):
        simulate_low_dose(hu, 1.0, sigma)


def test_one_factor_scales_all_slices():
    noise = np.random.default_rng(0).normal(size=(2, 20, 20)).astype(np.float32)
    scaled = calibrate(noise, np.zeros(noise.shape), sigma_hu=25)
    assert scaled.std() == pytest.approx(25, rel=1e-5)
    np.testing.assert_allclose(scaled / noise, np.full(noise.shape, (scaled / noise)[0, 0, 0]), rtol=1e-5)


def test_a_training_store_gets_noise_of_its_own(chest, tmp_path):
    """30 HU in the soft tissue of each case, in whole HU, once; not where pixels are no squares."""
    facts = CaseFacts("chest", "a", "chest", (1.5, 1.5, 1.5), 20.0, True)
    add_case(tmp_path, "train", facts, chest.to_sitk(), None)
    (case,) = open_store(tmp_path, "train")
    assert case.noise is None and simulate_noise(case)
    (case,) = open_store(tmp_path, "train")
    hu, noise = case.hu.box(), case.noise.box()
    soft = body_mask(hu) & (hu > -50) & (hu < 150)
    assert noise.dtype == np.int16 and noise[soft].std() == pytest.approx(NOISE_HU, rel=0.01)
    assert not simulate_noise(case), "it has some"

    image = chest.to_sitk()
    image.SetSpacing((1.5, 1.2, 1.5))
    add_case(tmp_path, "train", CaseFacts("flat", "b", "chest", (1.5, 1.2, 1.5), 20.0, True), image, None)
    with pytest.raises(InputError, match=r"flat are 1\.5 × 1\.2 mm"):
        simulate_noise(open_store(tmp_path, "train")[1])
