"""Choose the classical tools' settings on the validation patients: the grid's best by mean PSNR gain.

A low setting leaves noise and a high one blurs; a grid whose best lies at its end is too small.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask

from ..cases.volumes import LowDoseCase
from ..metrics.psnr_ssim import quality, to_unit
from .classical import denoise_classically

GRIDS = {
    "bm3d": {"sigma_factor": (1.0, 1.5, 2.0, 2.5)},
    "nlm": {"h_factor": (0.4, 0.5, 0.6, 0.7, 0.8)},
    "nlm3": {"h_factor": (0.6, 0.7, 0.8, 0.85, 0.9, 1.0)},
    "tv": {"weight_factor": (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)},
    "curvature": {"iterations": (5, 8, 12), "conductance": (0.7, 1.0, 1.5, 2.0)},
}
EVERY = {"bm3d": 4}  # slow, and slice by slice anyway: every fourth slice will do
EDGE = 192  # pixels of the slices' middle that are tuned on


def tune(tool: str, cases: Sequence[LowDoseCase], report: Callable[[dict, list[float]], None]) -> dict:
    """The settings of a tool with the largest mean PSNR gain over the cases; `report` gets each and its gains in dB."""
    grid, mean_gains = GRIDS[tool], []
    choices = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for settings in choices:
        gains = [gain(tool, case, settings) for case in cases]
        report(settings, gains)
        mean_gains.append(np.mean(gains))
    return choices[int(np.argmax(mean_gains))]


def gain(tool: str, case: LowDoseCase, settings: dict) -> float:
    """PSNR in dB that a tool gains over the low-dose slab."""
    low, high = case.window
    body = body_mask(case.full.voxels)
    step = EVERY.get(tool, 1)
    pick = (slice(step // 2, None, step), *(slice(max(0, (n - EDGE) // 2), (n + EDGE) // 2) for n in body.shape[1:]))
    noisy, full, body = case.low.voxels[pick], case.full.voxels[pick], body[pick]
    image = denoise_classically(tool, to_unit(noisy, case.window), case.sigma_hu / (high - low), settings)
    before = quality(noisy, full, body, case.window)
    return (quality(image * (high - low) + low, full, body, case.window) - before).psnr
