"""The second simulator: its geometry, the quanta that it solves for, and what sets it apart from training."""

import numpy as np
import pytest

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.fan_beam import PARALLEL_VIEWS, FanScanner
from MedDiffFMTraining.data.fan_dose import KERNELS, Exposure, expose, simulate_by_fan, solve_quanta
from MedDiffFMTraining.data.low_dose import low_dose_noise, soft_tissue
from MedDiffFMTraining.data.quanta import bowtie


def _off_center(edge: int) -> np.ndarray:
    """Water of 40 × 60 pixels beside the axis, with a dense rod at its edge."""
    y, x = np.mgrid[:edge, :edge] - (edge - 1) / 2
    water = ((y - 10) / 20) ** 2 + ((x + 14) / 30) ** 2 <= 1
    rod = (y - 14) ** 2 + (x + 28) ** 2 <= 16
    return np.where(rod, 1000.0, np.where(water, 0.0, -1000.0)).astype(np.float32)


def test_rebinned_rays_are_the_parallel_ones():
    """An object without symmetry: its fan, rebinned, is its parallel sinogram at the same angles and offsets."""
    hu = _off_center(128)
    scanner = FanScanner(hu.shape, 2.0)
    fan = scanner.rebin(scanner.path_attenuation(hu, 720))
    parallel = scanner.parallel.path_attenuation(hu, PARALLEL_VIEWS)
    assert fan.shape == parallel.shape and parallel.max() > 2.5
    assert np.sqrt(np.mean((fan - parallel) ** 2)) < 0.01 * parallel.max()
    assert np.corrcoef(fan.ravel(), parallel.ravel())[0, 1] > 0.999


def test_reconstruction_gives_hu_back():
    hu = _off_center(128)
    scanner = FanScanner(hu.shape, 2.0, "ram-lak")
    image = scanner.reconstruct(scanner.path_attenuation(hu, 720)) - 1000
    assert image[64:84, 54:60].mean() == pytest.approx(0, abs=15)
    assert image[77:80, 35:37].mean() == pytest.approx(1000, abs=60)
    assert abs(image[20:40, 90:110].mean() + 1000) < 15


def test_the_ray_of_an_element_passes_where_it_should():
    """On the axis an element of 1.1 mm at 570 + 470 mm sees .603 mm; outer rays lie closer."""
    offsets = FanScanner((100, 100), 2.0).offsets_mm
    steps = np.diff(offsets)
    assert steps[len(steps) // 2] == pytest.approx(1.1 * 570 / 1040, rel=1e-3) and steps[0] < steps[len(steps) // 2]


def test_variance_is_weighted_by_soft_tissue():
    """Rays of p = 0 and ln 10 at N₀ = 1e6: 1e6 and 1e5 quanta, variances 1.0001e−6 and 1.001e−5; weights 3 : 1 give
    3.2526e−6.
    """
    exposure = Exposure(np.array([[0.0, np.log(10.0)]]), np.array([[3.0, 1.0]]))
    assert exposure.variance(1e6, np.ones(2)) == pytest.approx(3.2526e-6, rel=0.01)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sigma", [12, 60])
def test_noise_is_what_was_asked_for_without_being_scaled(chest, kernel, sigma):
    """Within 5 %, in the soft tissue of the chest."""
    hu = chest.voxels[::3].astype(np.float32)
    low = simulate_by_fan(hu, 1.5, sigma, seed=1, kernel=kernel)
    soft = soft_tissue(hu, sigma)
    assert (low - hu)[soft].std() == pytest.approx(sigma, rel=0.05)
    assert low.dtype == np.float32 and low.min() >= -1024


def test_less_noise_takes_more_quanta(chest):
    """Where quanta are many σ² goes as 1/N₀: half the noise takes four times as many."""
    hu = chest.voxels[::6].astype(np.float32)
    scanner = FanScanner(hu.shape[1:], 1.5)
    n0 = [solve_quanta(scanner, hu, soft_tissue(hu, 1), sigma) for sigma in (4.0, 2.0)]
    assert n0[1] / n0[0] == pytest.approx(4, rel=0.03)


def test_kernels_differ_in_grain(chest):
    """The sharp kernel's noise is the less correlated from pixel to pixel."""
    hu, correlations = chest.voxels[:2].astype(np.float32), []
    for kernel in KERNELS:
        noise = (simulate_by_fan(hu, 1.5, 30, kernel=kernel) - hu)[:, 40:90, 30:90]
        correlations.append(np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1])
    assert correlations[0] > correlations[1] > correlations[2]


def test_a_bowtie_starves_the_rim_of_a_body_that_is_too_wide():
    """What the bowtie lets through at 200 mm is that of 140 mm on: e^−.7·.019·280 = .0241."""
    assert bowtie(np.array([200.0]), 140.0) == pytest.approx(0.0241, rel=0.01)
    hu = np.full((1, 100, 100), -1000.0, np.float32)
    hu[:, 30:70, 5:95] = 40
    scanner = FanScanner(hu.shape[1:], 4.0)
    exposure = expose(scanner, hu, soft_tissue(hu, 30))
    assert exposure.variance(1e5, bowtie(scanner.offsets_mm, 140.0)) > 1.2 * exposure.variance(1e5, np.ones(1))


def test_seeds_are_this_simulators_own(chest):
    """The same seed gives the same noise, another seed other noise, and the first simulator shares none of it."""
    hu = chest.voxels[:2].astype(np.float32)
    first, again, other = (simulate_by_fan(hu, 1.5, 40, seed) - hu for seed in (3, 3, 4))
    inside = hu > -900
    assert np.array_equal(first, again)
    for noise in (other, low_dose_noise(hu, 1.5, 3)):
        assert abs(np.corrcoef(first[inside], noise[inside])[0, 1]) < 0.06


@pytest.mark.parametrize(
    ("hu", "sigma", "words"),
    [
        (np.zeros((16, 16)), 30, "in axial slices"),
        (np.full((2, 16, 16), -1000.0), 30, "no soft tissue"),
        (np.zeros((2, 16, 16)), 0, "positive number of HU"),
        (np.where(np.mgrid[:64, :64][0][None] > 20, 40.0, -1000.0), 1e6, "No dose gives this CT noise of 1e"),
    ],
)
def test_what_cannot_be_simulated_is_refused(hu, sigma, words):
    with pytest.raises(InputError, match=words):
        simulate_by_fan(hu, 1.0, sigma)
