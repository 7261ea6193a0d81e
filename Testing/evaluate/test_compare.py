"""The comparison of the model with classical tools: same input for all, and means worked out by hand."""

import numpy as np
import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.evaluate.cases import Case, axial_slab, named_cases
from MedDiffFMTraining.evaluate.classical import TOOLS, denoise_classically
from MedDiffFMTraining.evaluate.denoise import Row, compare, means
from MedDiffFMTraining.evaluate.metrics import Quality


@pytest.fixture(scope="module")
def case(data):
    """Eight real slices of the abdomen with white noise of 30 HU."""
    from MedDiffFMLib.volume_io import read_volume

    full = axial_slab(read_volume(data / "abd_ts_example.nii.gz"), 8)
    noise = np.random.default_rng(0).normal(0, 30, full.voxels.shape).astype(np.float32)
    return Case("abd_ts_example", "abdomen", full, full.with_voxels(full.voxels + noise))


@pytest.mark.parametrize("tool", [name for name in TOOLS if name != "bm3d"])  # slow; it has the same call
def test_a_classical_tool_takes_noise_away(tool):
    """An even image of 0.5 with noise of 0.1: less than half of it is left, and the mean stays."""
    image = (0.5 + np.random.default_rng(0).normal(0, 0.1, (8, 32, 32))).astype(np.float32)
    result = denoise_classically(tool, image, 0.1)
    assert result.dtype == np.float32 and result.shape == image.shape
    assert result.std() < 0.06 and abs(result.mean() - image.mean()) < 0.005


def test_rows_hold_before_after_and_gain(case, tiny_model):
    told = []
    rows = compare([case], ["tv"], ["fast"], tiny_model, report=told.append)
    assert [row.method for row in rows] == ["total variation", "model, fast", "model, fast, σ auto"]
    assert len({row.before for row in rows}) == 1  # one input for all
    assert rows[0].gain.psnr == rows[0].after.psnr - rows[0].before.psnr > 1
    assert rows[0].sigma_hu == rows[1].sigma_hu == 30 and rows[2].sigma_hu == pytest.approx(32, abs=5)
    assert rows[0].trained_on and len(told) == 4


def test_means_over_cases_and_time_beside_non_local_means():
    def row(case, method, psnr, seconds):
        return Row(
            case, "chest", False, method, 60, Quality(20, 0.5), Quality(20 + psnr, 0.6), Quality(psnr, 0.1), seconds
        )

    rows = [
        row("a", "non-local means", 2, 10),
        row("a", "m", 1, 4),
        row("b", "non-local means", 4, 30),
        row("b", "m", 3, 6),
    ]
    nlm, model = means(rows)
    assert (nlm["psnr"], nlm["seconds"], nlm["time_ratio_to_nlm"]) == (3, 40, 1)
    assert (model["psnr"], model["seconds"], model["time_ratio_to_nlm"]) == (2, 10, 0.25)


def test_cases_by_name():
    assert named_cases("hn_cerr1, mine:chest", {}) == {"hn_cerr1": "head-neck", "mine": "chest"}
    with pytest.raises(InputError, match="mine:REGION"):
        named_cases("mine", {})


def test_a_slab_is_the_middle_with_rows_to_posterior(data):
    """The file is LPS: its own middle slices, untouched."""
    from MedDiffFMLib.volume_io import read_volume

    volume = read_volume(data / "abd_ts_example.nii.gz")
    slab = axial_slab(volume, 8)
    assert np.array_equal(slab.voxels, volume.voxels[52:60])  # 112 slices
    assert slab.origin[2] == pytest.approx(volume.origin[2] + 52 * 3)
