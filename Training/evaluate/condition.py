"""Does a ControlNet listen? What another condition changes in its result, beside what other noise changes.

In pixel space ControlNets were seen that ignore what they are told, with a loss like any other's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from MedDiffFMLib.control import Control
from MedDiffFMLib.models import Model
from MedDiffFMLib.network import v_target
from MedDiffFMLib.schedule import uniform_steps

from .crops import Sample, output_of, synthesize_crop
from .report import Line, Metric, Report

T_START = 990
BANDS = ((0, 30), (30, 100), (100, 300), (300, 600), (600, 1000))
LOSSES = (Metric("right", "down", 4), Metric("wrong", "", 4), Metric("none", "", 4), Metric("gain %", "up", 1, True))
NOTES = (
    "Loss: mean |error| of the network's output on the crops, noised to a t of each band: told the crop's own "
    "condition, another one, and without the ControlNet; gain: of right over none.",
    "Change: mean |HU| between two results of DDIM, from the same noise with the right and the other condition, and "
    "with the right condition from other noise.",
)


def another(targets: Sequence[torch.Tensor], kind: str) -> list[torch.Tensor]:
    """A wrong condition for each: of a mask its mirror image from left to right, else the next crop's."""
    if kind == "lesion-mask":
        return [target.flip(-1) for target in targets]
    return [*targets[1:], *targets[:1]]


def losses(model: Model, control: Control, samples: Sequence[Sample], tell: Callable[[str], None]) -> list[dict]:
    """For each crop and band of t, the mean |error| with the right condition, a wrong one, and without the control."""
    rows, targets = [], [sample.crop.target for sample in samples]
    for number, (sample, wrong) in enumerate(zip(samples, another(targets, control.config.kind), strict=True)):
        rng = np.random.default_rng([number, 2])
        for low, high in BANDS:
            t = int(rng.integers(low, high))
            rows.append({"crop": number, "t": t, "band": f"{low} ≤ t < {high}"})
            for told, with_control, target in (("right", control, sample.crop.target), ("wrong", control, wrong)):
                rows[-1][told] = _loss(model, sample, t, with_control, target)
            rows[-1]["none"] = _loss(model, sample, t, None, None)
        tell(f"loss, crop {number + 1}/{len(samples)}")
    return rows


def _loss(model: Model, sample: Sample, t: int, control: Control | None, target: torch.Tensor | None) -> float:
    alpha = torch.tensor(float(model.schedule.alpha_bar[t]))
    x0, noise = sample.crop.x0, sample.noise
    x_t = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
    truth = v_target(x0, noise, alpha) if model.network.config.prediction == "v" else noise
    return float((output_of(model, sample.crop, control, target)(x_t, t) - truth).abs().mean())


def reactions(
    model: Model, control: Control, samples: Sequence[Sample], steps: int, tell: Callable[[str], None]
) -> list[dict]:
    """What another condition, and none of it, and other noise change in each crop's result, in HU.

    `correlation` is of the change of the result with the change of the condition, over the voxels: 1 if it follows.
    For a mask "blank" is the empty one, and `inside` and `outside` say where removing it changes how much.
    """
    walk, rows = uniform_steps(T_START, steps), []
    targets = [sample.crop.target for sample in samples]
    for number, (sample, wrong) in enumerate(zip(samples, another(targets, control.config.kind), strict=True)):
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
        tell(f"reaction, crop {number + 1}/{len(samples)}")
    return rows


def _mean(change: np.ndarray) -> float:
    return float(np.abs(change).mean())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, NaN where one does not change."""
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")


def check_condition(
    model: Model, control: Control, samples: Sequence[Sample], steps: int = 10, tell: Callable[[str], None] = print
) -> tuple[Report, Report]:
    """Two tables: the losses by band of t, and the changes."""
    facts = {"model": model.name, "sha256": model.sha256, "kind": control.config.kind, "crops": len(samples)}
    by_band = losses(model, control, samples, tell)
    lines = []
    for low, high in BANDS:
        band = f"{low} ≤ t < {high}"
        right, wrong, none = (np.mean([r[told] for r in by_band if r["band"] == band]) for told in LOSS_NAMES)
        lines.append(Line("", band, (right, wrong, none, 100 * (1 - right / none))))
    loss = Report("condition-loss", "Loss by condition", LOSSES, lines, notes=NOTES[:1], facts=facts, cases=by_band)
    changed = reactions(model, control, samples, steps, tell)
    names = [name for name in ("condition", "noise", "correlation", "inside", "outside") if name in changed[0]]
    metrics = tuple(Metric(name, "", 2 if name == "correlation" else 1) for name in names)
    means = tuple(float(np.nanmean([row.get(name, np.nan) for row in changed])) for name in names)
    facts = facts | {"steps": steps}
    lines = [Line("", "change", means)]
    return loss, Report(
        "condition", "What changes the result", metrics, lines, notes=NOTES[1:], facts=facts, cases=changed
    )


LOSS_NAMES = ("right", "wrong", "none")
