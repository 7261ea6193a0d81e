"""PSNR and SSIM against values worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.evaluate.metrics.psnr_ssim import ImageQuality, quality, to_unit

WINDOW = (-160.0, 240.0)
SHAPE = (2, 24, 24)


def test_window_is_clipped_to_the_unit_range():
    assert to_unit(np.array([-1000, -160, 40, 240, 3000]), WINDOW).tolist() == [0, 0, 0.5, 1, 1]


def test_psnr_and_ssim_of_a_constant_shift():
    """A shift of 40 HU is 0.1 of the window: PSNR = −20·log10(0.1) = 20 dB. Flat images have no variance, so SSIM is
    its luminance term alone: (2·0.5·0.6 + 1e−4) / (0.25 + 0.36 + 1e−4) = 0.6001 / 0.6101.
    """
    result = quality(np.full(SHAPE, 80.0), np.full(SHAPE, 40.0), np.ones(SHAPE, bool), WINDOW)
    assert result.psnr == pytest.approx(20, abs=1e-4)
    assert result.ssim == pytest.approx(0.6001 / 0.6101, abs=1e-5)


def test_only_the_body_counts():
    """Wrong by 40 HU in the body and by far outside: as if there were only the body. SSIM sees 5 pixels far."""
    body = np.zeros(SHAPE, bool)
    body[:, :, :12] = True
    image = np.where(np.arange(24) < 18, 80.0, -160.0) * np.ones(SHAPE)
    result = quality(image, np.full(SHAPE, 40.0), body, WINDOW)
    assert result.psnr == pytest.approx(20, abs=1e-4)
    assert result.ssim == pytest.approx(0.6001 / 0.6101, abs=1e-5)


def test_what_is_beyond_the_window_does_not_count():
    reference = np.full(SHAPE, -1000.0)
    result = quality(reference + 500, reference, np.ones(SHAPE, bool), WINDOW)
    assert result == ImageQuality(np.inf, 1.0)


def test_ssim_of_a_pattern_turned_over():
    """A fine pattern and its negative about one mean: covariance −v, so SSIM = (C2 − 2v) / (C2 + 2v), near −1.

    The pattern ±20 HU is ±0.05 of the window: v = 0.0025 but for what the Gaussian leaves of its mean, C2 = 9e−4.
    """
    y, x = np.mgrid[:24, :24]
    pattern = np.where((y + x) % 2, 20.0, -20.0) * np.ones(SHAPE)
    inner = np.zeros(SHAPE, bool)
    inner[:, 6:-6, 6:-6] = True
    result = quality(40 + pattern, 40 - pattern, inner, WINDOW)
    assert result.psnr == pytest.approx(20)
    assert result.ssim == pytest.approx((9e-4 - 0.005) / (9e-4 + 0.005), abs=1e-4)


def test_slices_are_axial_each_by_itself():
    """A slice that equals its reference has SSIM 1 whatever its neighbor is: the mean of the two is half way."""
    reference, image = np.full(SHAPE, 40.0), np.full(SHAPE, 40.0)
    image[1] = 80.0
    result = quality(image, reference, np.ones(SHAPE, bool), WINDOW)
    assert result.ssim == pytest.approx((1 + 0.6001 / 0.6101) / 2, abs=1e-5)
    assert result.psnr == pytest.approx(20 + 10 * np.log10(2), abs=1e-4)


def test_gain_is_a_difference():
    assert ImageQuality(25.0, 0.9) - ImageQuality(20.0, 0.5) == ImageQuality(5.0, 0.4)


def test_slices_without_a_body_are_one_sentence():
    """Else PSNR would be 0/0."""
    with pytest.raises(InputError, match="There is no body in these slices, so nothing can be measured"):
        quality(np.full(SHAPE, 80.0), np.full(SHAPE, 40.0), np.zeros(SHAPE, bool), WINDOW)
