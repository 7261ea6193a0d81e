"""Checks whether a ControlNet uses its condition: the change by another condition, beside that by another noise seed.

A ControlNet in pixel space can ignore its condition without its loss showing it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from MedDiffFMLib.diffusion.schedule import T_START, add_noise, uniform_steps
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.networks.controlnet import ControlNet
from MedDiffFMLib.networks.unet import v_target

from ..reports.report import Metric, Report, ReportRow
from .crops import Sample, output_of, synthesize_crop

BANDS = ((0, 30), (30, 100), (100, 300), (300, 600), (600, 1000))
LOSSES = (Metric("right", "down", 4), Metric("wrong", "", 4), Metric("none", "", 4), Metric("gain %", "up", 1, True))
CHANGES = (
    *(Metric("condition", "", 1), Metric("noise", "", 1), Metric("correlation", "", 2)),
    *(Metric("inside", "", 1), Metric("outside", "", 1)),
)
NOTES = (
    "Loss: mean |error| of the network's output on the crops, noised to a t of each band: given the crop's own "
    "condition, another one, and without the ControlNet; gain: of right over none.",
    "Change: mean |HU| between two results of DDIM, from the same noise with the right and the other condition, and "
    "with the right condition from other noise.",
)


def wrong_conditions(targets: Sequence[torch.Tensor], kind: str) -> list[torch.Tensor]:
    """A wrong condition for each: of a mask its mirror image from left to right, else the next crop's."""
    if kind == "lesion-mask":
        return [target.flip(-1) for target in targets]
    return [*targets[1:], *targets[:1]]


def losses(model: Model, control: ControlNet, samples: Sequence[Sample], log: Callable[[str], None]) -> list[dict]:
    """For each crop and band of t, the mean |error| with the right condition, a wrong one, and without the control."""
    rows, targets = [], [sample.crop.target for sample in samples]
    for number, (sample, wrong) in enumerate(zip(samples, wrong_conditions(targets, control.config.kind), strict=True)):
        rng = np.random.default_rng([number, 2])
        for low, high in BANDS:
            t = int(rng.integers(low, high))
            rows.append({"crop": number, "t": t, "band": f"{low} ≤ t < {high}"})
            for condition, with_control, target in (("right", control, sample.crop.target), ("wrong", control, wrong)):
                rows[-1][condition] = _loss(model, sample, t, with_control, target)
            rows[-1]["none"] = _loss(model, sample, t, None, None)
        log(f"loss, crop {number + 1}/{len(samples)}")
    return rows


def _loss(model: Model, sample: Sample, t: int, control: ControlNet | None, target: torch.Tensor | None) -> float:
    alpha = torch.tensor(float(model.schedule.alpha_bar[t]))
    x0, noise = sample.crop.x0, sample.noise
    x_t = add_noise(x0, t, model.schedule, noise)
    truth = v_target(x0, noise, alpha) if model.network.config.prediction == "v" else noise
    return float((output_of(model, sample.crop, control, target)(x_t, t) - truth).abs().mean())


def reactions(
    model: Model, control: ControlNet, samples: Sequence[Sample], steps: int, log: Callable[[str], None]
) -> list[dict]:
    """The change of each crop's result by another condition, by an empty one and by other noise, in HU.

    `correlation` is of the change of the result with the change of the condition, over the voxels: 1 if it follows.
    For a mask "blank" is the empty one, and `inside` and `outside` say where removing it changes how much.
    """
    walk, rows = uniform_steps(T_START, steps), []
    targets = [sample.crop.target for sample in samples]
    for number, (sample, wrong) in enumerate(zip(samples, wrong_conditions(targets, control.config.kind), strict=True)):
        right, blank = sample.crop.target, torch.zeros_like(sample.crop.target)
        noise = torch.from_numpy(np.random.default_rng([number, 3]).standard_normal(right.shape, np.float32))

        def make(target: torch.Tensor, other: torch.Tensor | None = None, sample: Sample = sample) -> np.ndarray:
            return sample.hu(synthesize_crop(model, sample, walk, control, target, other))

        base, swapped, reseeded = make(right), make(wrong), make(right, noise)
        row = {"crop": number, "condition": _mean(swapped - base), "noise": _mean(reseeded - base)}
        row["correlation"] = _correlation(swapped - base, (wrong - right)[0].numpy())
        if control.config.kind == "lesion-mask" and right.any():
            change, mask = make(blank) - base, right[0].numpy() > 0
            row |= {"inside": _mean(change[mask]), "outside": _mean(change[~mask])}
        rows.append(row)
        log(f"reaction, crop {number + 1}/{len(samples)}")
    return rows


def _mean(change: np.ndarray) -> float:
    return float(np.abs(change).mean())


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's, None where one does not change."""
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else None


def check_condition(
    model: Model, control: ControlNet, samples: Sequence[Sample], steps: int = 10, log: Callable[[str], None] = print
) -> tuple[Report, Report]:
    """Two tables: the losses by band of t, and the changes of the result of `steps` steps."""
    facts = {"model": model.name, "sha256": model.sha256, "kind": control.config.kind, "crops": len(samples)}
    by_band, changed = losses(model, control, samples, log), reactions(model, control, samples, steps, log)
    lines = [ReportRow("", band, _loss_values(by_band, band)) for band in dict.fromkeys(row["band"] for row in by_band)]
    loss = Report("condition-loss", "Loss by condition", LOSSES, lines, notes=NOTES[:1], facts=facts, cases=by_band)
    metrics = [metric for metric in CHANGES if any(metric.name in row for row in changed)]
    known = [[row[metric.name] for row in changed if row.get(metric.name) is not None] for metric in metrics]
    means = tuple(float(np.mean(values)) if values else None for values in known)
    lines, facts = [ReportRow("", "change", means)], facts | {"steps": steps}
    title = "What changes the result"
    return loss, Report("condition", title, tuple(metrics), lines, notes=NOTES[1:], facts=facts, cases=changed)


def _loss_values(rows: Sequence[dict], band: str) -> tuple[float, ...]:
    """The means of a band as `LOSSES` has them."""
    chosen = [row for row in rows if row["band"] == band]
    right, wrong, none = (
        float(np.mean([row[condition] for row in chosen])) for condition in ("right", "wrong", "none")
    )
    return right, wrong, none, 100 * (1 - right / none)
