"""CT-like noise for training: its spectrum and strength, measured on samples."""

import numpy as np
import pytest

from MedDiffFMTraining.data.noise import ct_amplitude, ct_noise


def _power(cutoff, count=400, side=32):
    """Mean periodogram of sampled slices, (side, side), by the full transform."""
    rng = np.random.default_rng(0)
    white = rng.standard_normal((count, side, side))
    noise = np.fft.irfft2(np.fft.rfft2(white) * ct_amplitude((side, side), cutoff), s=(side, side))
    return np.mean(np.abs(np.fft.fft2(noise)) ** 2, axis=0) / side**2, noise


def test_spectrum_is_the_ramp_times_the_squared_hann_window():
    """At cutoff 0.5 along one axis: f = 1/8 gives 1/8·0.854² = 0.0911, f = 1/4 gives 1/4·0.5² = 0.0625; nothing
    beyond.
    """
    power, noise = _power(0.5)
    assert power[0, 4] / power[0, 8] == pytest.approx(0.0911 / 0.0625, rel=0.15)
    assert power[4, 0] == pytest.approx(power[0, 4], rel=0.2)  # the same in both directions
    assert power[0, 0] < 1e-12 and power[0, 16] < 1e-12 and power[12, 12] < 1e-12
    assert noise.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("side", [31, 32, 64])
def test_unit_strength_for_any_size(side):
    """Parseval: the mean power over the full grid is 1."""
    half = ct_amplitude((side, side), 0.7) ** 2
    full = np.concatenate([half, half[:, 1 : (side + 1) // 2]], axis=1)
    assert full.mean() == pytest.approx(1.0, rel=1e-9)


def test_slices_are_independent_and_neighbors_are_not():
    noise = np.concatenate([ct_noise(np.random.default_rng(i), (8, 48, 48)) for i in range(20)])
    along_x = np.mean(noise[:, :, 1:] * noise[:, :, :-1]) / noise.var()
    along_z = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert along_x > 0.2 and abs(along_z) < 0.03
    assert noise.dtype == np.float32


def test_the_level_spreads_around_one():
    levels = [ct_noise(np.random.default_rng(i), (4, 32, 32)).std() for i in range(100)]
    assert np.mean(np.log(levels)) == pytest.approx(0.0, abs=0.05)
    assert 0.1 < np.std(np.log(levels)) < 0.2
