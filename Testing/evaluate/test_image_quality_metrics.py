"""Noise power, task transfer and detectability against closed forms."""

import math

import numpy as np
import pytest
from scipy import ndimage, special

from MedDiffFMLib.volumes.noise_power import noise_power
from MedDiffFMTraining.evaluate.metrics.detectability import Responses, eye_filter, responses, template
from MedDiffFMTraining.evaluate.metrics.task_transfer import TaskTransfer, task_transfer

RNG = np.random.default_rng(0)


def test_white_noise_has_a_flat_spectrum():
    """Of σ = 20 HU in pixels of 0.5 mm: 400·0.25 = 100 HU²·mm² up to 1 mm⁻¹, in the mean at half of that and a step."""
    found = noise_power(RNG.normal(0, 20, (400, 32, 32)), 0.5)
    assert found.sigma == pytest.approx(20, rel=0.01) and found.power == pytest.approx(100, rel=0.06)
    assert found.frequencies[-1] == pytest.approx(1) and found.mean_frequency == pytest.approx(0.5 + 1 / 32, rel=0.01)


def test_filtered_noise_has_the_filters_spectrum():
    """A Gaussian of σ = 2 pixels of 0.8 mm leaves e^{−4π²σ²f²}: 1/(2π^{3/2}·1.6 mm) = 0.0561 mm⁻¹ in the mean."""
    noise = np.stack([ndimage.gaussian_filter(RNG.normal(0, 20, (256, 256)), 2, mode="wrap") for _ in range(40)])
    found = noise_power(noise, 0.8)
    expected = 400 * 0.64 * np.exp(-4 * math.pi**2 * 1.6**2 * found.frequencies**2)
    assert found.power[:16] == pytest.approx(expected[:16], rel=0.25)
    assert found.mean_frequency == pytest.approx(0.0561, rel=0.05)
    assert found.peak_frequency < 0.03


@pytest.mark.parametrize(("sigma", "pixel"), [(0.7, 0.7), (1.0, 0.8), (1.5, 1.0)])
@pytest.mark.parametrize("contrast", [-1040, 15])
def test_a_gaussian_edge_has_a_known_half(sigma, pixel, contrast):
    """TTF = e^{−2π²σ²f²}: one half at √(ln 2/2)/(πσ) = 0.1874/σ. The edge is sampled at the pixels' centers."""
    y, x = np.indices((64, 64))
    apart = np.hypot(y - 31.3, x - 32.1) * pixel - 14
    image = contrast * special.erfc(apart / (sigma * math.sqrt(2))) / 2
    found = task_transfer(image, (31.3, 32.1), 14, pixel)
    assert found.values[0] == 1 and found.half == pytest.approx(0.1874 / sigma, rel=0.03)


def test_where_nothing_is_lost_there_is_no_half():
    assert math.isnan(TaskTransfer(np.array([0, 0.1]), np.array([1, 0.9])).half)
    assert TaskTransfer(np.array([0, 0.1, 0.2]), np.array([1, 0.8, 0.3])).half == pytest.approx(0.16)


def test_a_known_signal_in_white_noise_has_a_closed_form():
    """A square of 6 × 6 pixels of 5 HU in σ = 20 HU: without an eye filter d′ = √36·5/20 = 1.5."""
    signal = np.zeros((24, 24))
    signal[9:15, 9:15] = 5
    absent, present = RNG.normal(0, 20, (2, 20000, 24, 24))
    found = responses(template(signal, 1.0, np.ones_like), present + signal, absent)
    assert found.d_prime == pytest.approx(1.5, abs=0.03)
    low, high = found.interval()
    assert low < 1.5 < high and high - low < 0.08


def test_the_eye_filter_weighs_signal_and_noise():
    """d′ = Σ E²|S|² / (σ·√(N²·Σ E⁴|S|²)) over all frequencies (Parseval); E is 1 at 4 cycles a degree."""
    signal = np.zeros((32, 32))
    signal[12:20, 12:20] = 8
    axis = np.fft.fftfreq(32, 0.8)
    eye, power = eye_filter(np.hypot(axis[:, None], axis)), np.abs(np.fft.fft2(signal)) ** 2
    expected = (eye**2 * power).sum() / np.sqrt((eye**4 * power).sum()) / 32 / 20
    absent, present = RNG.normal(0, 20, (2, 8000, 32, 32))
    assert responses(template(signal, 0.8), present + signal, absent).d_prime == pytest.approx(expected, rel=0.05)
    assert eye_filter(np.array([0, 4 / 8.7275])).tolist() == pytest.approx([0, 1], abs=1e-4)


def test_the_ratio_of_the_same_images_is_one():
    """Halving an image changes neither d′ nor its interval; noise added to the answers lowers the ratio."""
    before = Responses(RNG.normal(2, 1, 300), RNG.normal(0, 1, 300))
    assert Responses(before.present / 2, before.absent / 2).ratio_interval(before) == pytest.approx((1, 1))
    worse = Responses(before.present + RNG.normal(0, 2, 300), before.absent + RNG.normal(0, 2, 300))
    assert worse.ratio_interval(before)[1] < 0.7
    unseen = Responses(RNG.normal(0, 1, 300), RNG.normal(0, 1, 300) + 0.05)
    assert np.isnan(before.ratio_interval(unseen)).all()
