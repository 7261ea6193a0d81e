"""Classical tools: each one removes known noise, and knows how much of it."""

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")
pytest.importorskip("bm3d", reason="bm3d is not installed (extra 'training')")

from MedDiffFMTraining.evaluate.baselines.classical import NAMES, SETTINGS, TOOLS, denoise_classically
from MedDiffFMTraining.evaluate.baselines.tune import GRIDS, tune
from MedDiffFMTraining.evaluate.cases.volumes import LowDoseCase

SIGMA = 0.05


@pytest.fixture(scope="module")
def step() -> tuple[np.ndarray, np.ndarray]:
    """Two even halves, 0.3 and 0.7, and the same with white noise of 0.05: 3 × 48 × 48."""
    clean = np.where(np.arange(48) < 24, 0.3, 0.7) * np.ones((3, 48, 48))
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return clean.astype(np.float32), (clean + noise).astype(np.float32)


@pytest.mark.parametrize("tool", TOOLS)
def test_noise_goes_and_the_edge_stays(step, tool):
    clean, noisy = step
    result = denoise_classically(tool, noisy, SIGMA)
    assert result.shape == clean.shape and result.dtype == np.float32
    even = (slice(1, -1), slice(4, -4), slice(4, 18))
    assert result[even].std() < 0.6 * noisy[even].std()
    assert abs(result[even].mean() - 0.3) < 0.005
    across = result[:, :, 25].mean() - result[:, :, 22].mean()
    assert across > 0.3, "the edge of 0.4 is still there within three voxels"


@pytest.mark.parametrize("tool", ["bm3d", "nlm", "tv"])
def test_less_noise_told_is_less_removed(step, tool):
    noisy = step[1][:1] if tool == "bm3d" else step[1]  # slow
    much, little = (np.abs(denoise_classically(tool, noisy, s) - noisy).mean() for s in (SIGMA, SIGMA / 4))
    assert much > 1.5 * little


def test_every_tool_has_its_name_settings_and_grid():
    assert set(TOOLS) == set(NAMES) == set(SETTINGS) == set(GRIDS)
    for tool, settings in SETTINGS.items():
        assert all(value in GRIDS[tool][name] for name, value in settings.items()), tool


def test_tuning_takes_the_largest_mean_gain(chest, low):
    """Total variation on a real slab: the best of the grid by the gains that were reported."""

    tried = []
    case = LowDoseCase("chest", "chest", chest, chest.with_voxels(low))
    best = tune("tv", [case], lambda settings, gains: tried.append((settings, gains)))
    assert len(tried) == len(GRIDS["tv"]["weight_factor"])
    assert best == max(tried, key=lambda one: one[1][0])[0]
    assert max(gains[0] for _, gains in tried) > 0.5
