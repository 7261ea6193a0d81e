"""Counting statistics of simulated scans: values worked out by hand, and a water cylinder seen by the scanner."""

import numpy as np
import pytest

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")

from MedDiffFMTraining.data.quanta import (
    bowtie,
    expected_quanta,
    log_noise,
    log_variance,
    tube_current,
)
from MedDiffFMTraining.data.scanner import Scanner


def water(edge: int, height: float, width: float) -> np.ndarray:
    """Water (0 HU) in an ellipse of `height` × `width` pixels within air."""
    y, x = np.mgrid[:edge, :edge] - (edge - 1) / 2
    return np.where((2 * y / height) ** 2 + (2 * x / width) ** 2 <= 1, 0.0, -1000.0).astype(np.float32)


def test_variance_of_many_quanta_is_that_of_counting_and_electronics():
    """N = 1e4: 1/1e4 + 100/1e8 = 1.01e−4. N = 1e6: 1e−6 + 1e−10."""
    assert log_variance(np.array([1e4, 1e6])) == pytest.approx([1.01e-4, 1.0001e-6], rel=0.01)


def test_starved_rays_stay_finite_and_without_a_mean():
    """At N = .01 the reading is max(.01 + 10·ε, 1): half of them are 1, ln n reaches ln 30; var is below ln² 30 / 4."""
    white = np.random.default_rng(0).standard_normal(200_000)
    for quanta in (0.01, 3.0, 30.0, 1e4):
        noise = log_noise(np.full(white.shape, quanta), white)
        spread = np.sqrt(log_variance(np.array(quanta)))
        assert abs(noise.mean()) < 4 * spread / np.sqrt(len(white))
        assert noise.std() == pytest.approx(spread, rel=0.01)
    assert 0.5 < log_variance(np.array(0.01)) < np.log(30) ** 2 / 4


def test_noise_behind_a_water_cylinder_is_that_of_its_quanta():
    """200 mm of water: p = .019·200 = 3.8; of 6e4 quanta 6e4·e^−3.8 = 1342.2 arrive: var = 1/N + 100/N² = 8.006e−4."""
    scanner = Scanner((128, 128), 2.0, "ram-lak", detector_mm=1.0)
    path = scanner.path_attenuation(water(128, 100, 100), angles=90)
    middle = np.abs(scanner.offsets_mm) < 6
    quanta = expected_quanta(path, 6e4)[:, middle]
    assert quanta.mean() == pytest.approx(1342.2, rel=0.05)
    rng = np.random.default_rng(1)
    noise = [log_noise(quanta, rng.standard_normal(quanta.shape)) for _ in range(40)]
    assert np.var(noise) == pytest.approx(8.006e-4, rel=0.05)


def test_a_bowtie_takes_what_the_patient_lacks_beside_the_middle():
    """At 60 mm a cylinder of radius 100 mm is 160 mm thick, 40 less: e^−.7·.019·40 = .5874; beyond e^−.7·.019·200."""
    assert bowtie(np.array([0.0, 60.0, 100.0, 170.0]), 100.0) == pytest.approx([1, 0.5874, 0.0699, 0.0699], rel=1e-3)


def test_tube_current_follows_the_thickest_path():
    """Paths of 5 against 4 with strength .5: e^.5 = 1.6487; a view through nothing gets no less than a fifth."""
    path = np.array([[0.0, 5.0], [4.0, 1.0], [0.0, 0.0]])
    assert tube_current(path, 0.5, 4.0).ravel() == pytest.approx([1.6487, 1.0, 0.2], rel=1e-3)
    assert tube_current(path, 0.0, 4.0).ravel().tolist() == [1, 1, 1]


def test_a_large_patient_starves_at_low_dose_only():
    """420 mm of water: p = 7.98. 2e4·e^−7.98 = 6.8 quanta arrive, 2e5·e^−7.98 = 68."""
    path = Scanner((144, 240), 2.0, "ram-lak").path_attenuation(water(240, 120, 210)[48:192], 90)
    assert path.max() == pytest.approx(7.98, rel=0.02)
    few, many = (expected_quanta(path, n0).min() for n0 in (2e4, 2e5))
    assert few == pytest.approx(6.8, rel=0.15) and many > 50
