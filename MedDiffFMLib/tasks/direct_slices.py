"""Thin slices in a single evaluation, by a ControlNet trained for it: beyond the paper.

The ControlNet, told the thick slices, and the locked U-Net make of x_t = √ᾱ_t·s the estimate
x̂_0 = (x_t − √(1 − ᾱ_t)·ε̂)/√ᾱ_t, at the one t that they were trained at (`ControlConfig.direct_t`). s is the cubic
spline that keeps the block means; no noise is added, so there is nothing to draw. Trained by squared errors, x̂_0 tends
to the mean of all thin slices that the thick ones allow: nearer to the truth than a sample of them, and smoother.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..noise_model import NoiseModel
from ..progress import Reporter
from ..regions import to_hu, to_model
from ..samplers import predict_x0
from ..thick import cubic_slices
from .scan import Scan
from .thin_slices import Cut


def start_of(thick_hu: torch.Tensor, factor: int, axis: int, window: tuple[float, float], alpha: float) -> torch.Tensor:
    """x_t = √ᾱ_t·s in the model's range: s of thick slices in HU (Z, Y, X), clipped to the window."""
    s = to_model(cubic_slices(thick_hu, factor, axis).numpy(), window)
    return math.sqrt(alpha) * torch.from_numpy(s)


def restore_directly(scan: Scan, ε: NoiseModel, cut: Cut, reporter: Reporter) -> tuple[np.ndarray, list[int]]:
    """The estimate in HU, within the window (Z, Y, X), and the one timestep."""
    t, model = ε.control.config.direct_t, ε.model
    alpha = float(model.schedule.alpha_bar[t])
    reporter.begin(1, len(ε.active))
    x_t = start_of(torch.from_numpy(scan.frame.hu), cut.factor, cut.axis, scan.window, alpha).to(model.device)
    x0 = predict_x0(x_t, ε(x_t, t), alpha)
    reporter.step(0, t, x0)
    return to_hu(x0.clamp(-1, 1).cpu().numpy(), scan.window), [t]
