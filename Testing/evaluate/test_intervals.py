"""Bootstrap intervals of a known sample, and the table of several noise seeds, doses and kernels."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")

from MedDiffFMTraining.evaluate.cases.volumes import Dose
from MedDiffFMTraining.evaluate.metrics.intervals import gain_draws, interval
from MedDiffFMTraining.evaluate.metrics.psnr_ssim import ImageQuality, SliceSums, quality, slice_sums
from MedDiffFMTraining.evaluate.tasks.denoise_report import DenoisingResult, report_of

ONES = np.ones(100)
BEFORE = SliceSums(ONES, 0.5 * ONES, ONES)


def _after(squared) -> SliceSums:
    return SliceSums(squared, 0.75 * ONES, ONES)


HALVES = np.repeat([0.25, 0.5], 50)  # squared errors of the slices


def test_interval_of_a_known_sample():
    """Of 100 slices half keep a quarter of the error and half a half: in the mean .375, 4.26 dB. 95 % of resamplings
    hold 40 to 60 of the first half (binomial): errors of .40 to .35, 3.98 to 4.56 dB.
    """
    gains = gain_draws([(BEFORE, _after(HALVES))])
    assert len(gains.psnr) == 2000 and np.mean(gains.psnr) == pytest.approx(4.26, abs=0.02)
    assert interval(gains.psnr) == pytest.approx((3.979, 4.559), abs=0.04)
    assert interval(gains.ssim) == pytest.approx((0.25, 0.25))


def test_a_slice_is_drawn_in_all_its_seeds():
    """A second seed in which the halves change places cancels what the first gains by a lucky draw."""
    both = gain_draws([(BEFORE, _after(HALVES)), (BEFORE, _after(HALVES[::-1]))])
    low, high = interval(both.psnr)
    assert high - low < 0.03 and low == pytest.approx(4.26, abs=0.03)


def test_equal_slices_leave_no_doubt_and_empty_ones_do_not_count():
    """Slices without a body are drawn and add nothing; a draw of such slices alone is left out."""
    voxels = np.array([1.0, 0, 0, 0])
    measured = [(SliceSums(voxels, voxels, voxels), SliceSums(voxels / 10, voxels, voxels))]
    gains = gain_draws(measured)
    assert 0 < len(gains.psnr) < 2000 and interval(gains.psnr) == pytest.approx((10, 10))


def test_slices_add_up_to_the_volume():
    rng = np.random.default_rng(0)
    truth, body = rng.normal(0, 50, (3, 32, 32)), rng.random((3, 32, 32)) > 0.3
    image, window = truth + rng.normal(0, 10, truth.shape), (-200.0, 200.0)
    whole, sums = quality(image, truth, body, window), slice_sums(image, truth, body, window)
    error = (np.clip(image, *window) - np.clip(truth, *window))[body] / 400
    assert whole.psnr == pytest.approx(-10 * np.log10(np.mean(error**2)), abs=1e-4)
    twice = sums.quality(np.array([[1.0, 1, 1], [2, 0, 0]]))
    first = quality(image[:1], truth[:1], body[:1], window)
    assert twice.psnr == pytest.approx([whole.psnr, first.psnr]) and twice.ssim == pytest.approx(
        [whole.ssim, first.ssim]
    )


def _row(case: str, method: str, dose: Dose, squared: np.ndarray, own: float | None = None) -> DenoisingResult:
    after = BEFORE if method == "input" else _after(squared)
    quality_of = (BEFORE.quality(), after.quality())
    return DenoisingResult(case, "abdomen", False, method, 30, *quality_of, 5.0, None, dose, (BEFORE, after), own)


def test_the_table_has_the_mean_of_the_seeds_an_interval_and_the_ceiling():
    """Gains of 4.26 and 10 dB under two seeds: 7.13. Another dose is another group. A reference with 10 HU of
    noise of its own, 30 added: the best estimate errs by 10·30/√1000 = 9.487 of 400 HU, 32.50 dB.
    """
    rows = []
    for seed, squared in ((0, HALVES), (1, 0.1 * ONES)):
        dose = Dose("fan", 30.0, "hann", seed)
        rows += [_row("a", "input", dose, ONES, 10.0), _row("a", "model", dose, squared)]
    other = Dose("fan", 30.0, "ram-lak", 0)
    rows += [_row("a", "input", other, ONES, 10.0), _row("a", "model", other, 0.1 * ONES)]
    report = report_of(rows)
    names = [metric.name for metric in report.metrics]
    table = [dict(zip(names, line.values, strict=True)) | {"group": line.group} for line in report.lines]
    before, model, _, sharp, _, mean = table
    assert "30 HU, fan, hann" in model["group"] and "30 HU, fan, ram-lak" in sharp["group"] and mean["group"] == "mean"
    assert before["ceiling (dB)"] == pytest.approx(32.50, abs=0.01) and model["ceiling (dB)"] is None
    assert model["PSNR gain (dB)"] == pytest.approx(7.13, abs=0.01)
    assert (model["95 % from"], model["95 % to"]) == pytest.approx((6.99, 7.28), abs=0.03)
    assert (sharp["95 % from"], sharp["95 % to"]) == pytest.approx((10, 10))
    assert mean["PSNR gain (dB)"] == pytest.approx((7.13 + 10) / 2, abs=0.01)
    assert (mean["95 % from"], mean["95 % to"]) == pytest.approx(((6.99 + 10) / 2, (7.28 + 10) / 2), abs=0.03)
    assert before["95 % from"] is None
    assert [one["method"] for one in report.facts["intervals"]] == ["model", "model"]
    assert json.loads(json.dumps(report.cases))[3]["dose"] == {
        "simulator": "fan",
        "sigma_hu": 30.0,
        "kernel": "hann",
        "seed": 1,
    }


def test_intervals_of_one_case_rise_and_fall_together():
    """Two doses of one case share their slices: their mean is no surer than one; two cases' is."""
    of_case = [_row("a", "model", Dose("fan", sigma), HALVES) for sigma in (30.0, 60.0)]
    of_two = [of_case[0], _row("b", "model", Dose("fan", 30.0), HALVES)]
    widths = []
    for rows in (of_case, of_two):
        low, high = report_of(rows).lines[-1].values[4:6]
        widths.append(high - low)
    assert widths[0] == pytest.approx(0.58, abs=0.06) and widths[1] == pytest.approx(0.58 / np.sqrt(2), abs=0.06)


def test_the_ceiling_of_known_noises():
    """sarcoma_sts015: 28.8 HU beside 30 added leave a gain of 20·log(√(28.8² + 30²)/28.8) = 3.19 dB. In real low dose
    a result without error differs by the reference's noise: 20·log(400/28.8) = 22.85 dB.
    """
    row = _row("a", "input", Dose("fan", 30.0), ONES, 28.8)
    assert row.ceiling - 20 * np.log10(400 / 30) == pytest.approx(3.19, abs=0.01)
    assert replace(row, dose=None).ceiling == pytest.approx(22.85, abs=0.01)
    assert replace(row, own_hu=None).ceiling is None


def test_results_without_slices_have_no_interval():
    row = DenoisingResult("a", "chest", False, "model", 60, ImageQuality(30, 0.8), ImageQuality(33, 0.9))
    assert [metric.name for metric in report_of([row]).metrics][-1] == "SSIM gain"
