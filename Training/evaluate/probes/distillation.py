"""The cost of few steps: students of `train distill` beside their teacher at the same steps and at 50."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.stats import wasserstein_distance

from MedDiffFMLib.diffusion.schedule import T_START, trailing_steps, uniform_steps
from MedDiffFMLib.models.loading import Model

from ..metrics.psnr_ssim import quality
from ..reports.report import Metric, Report, ReportRow
from .crops import Sample, synthesize_crop

REFERENCE = 50
METRICS = (
    Metric("evaluations", "", 0),
    Metric("HU from 50 steps", "down", 1),
    Metric("PSNR", "up", 2),
    Metric("SSIM", "up"),
    Metric("SSIM to CT", "up"),
    Metric("histogram HU", "down", 1),
    Metric("detail", "", 2),
)
NOTES = (
    "Fixed crops of the store with their position, region and anatomy; DDIM, all from the same noise. HU, PSNR, SSIM: "
    "distance to the teacher's 50 steps from that noise, within the body and the region's window.",
    "To the crop's real CT: SSIM; histogram, the Wasserstein distance of the HU; detail, the mean |gradient| as a "
    "share of the CT's (1: as detailed, less: blurred).",
    "'teacher, other noise' is what two of its samples differ by: no student need come nearer than that to be as good.",
)


def walks(teacher: Model, students: Sequence[Model]) -> dict[str, tuple[Model, list[int], bool]]:
    """The walks to compare, by name: model, timesteps, and whether it starts from other noise."""
    counts = [steps_of(student) for student in students]
    compared = {
        "teacher, 50 steps": (teacher, uniform_steps(T_START, REFERENCE), False),
        "teacher, other noise": (teacher, uniform_steps(T_START, REFERENCE), True),
    }
    for count, student in sorted(zip(counts, students, strict=True), key=lambda pair: -pair[0]):
        for name, model in (("teacher", teacher), ("student", student)):
            compared[f"{name}, {_steps(count)}"] = (model, trailing_steps(T_START, count), False)
    return compared


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count > 1)}"


def steps_of(student: Model) -> int:
    """The steps that a model was distilled for; 0 for one that was not."""
    return int(student.config.get("training", {}).get("config", {}).get("distilled_to", 0))


def compare_steps(
    teacher: Model, students: Sequence[Model], samples: Sequence[Sample], log: Callable[[str], None] = print
) -> Report:
    """The table of every walk, mean over the samples, and every single measurement."""
    compared, cases = walks(teacher, students), []
    for number, sample in enumerate(samples):
        reference = None
        other = torch.from_numpy(np.random.default_rng([number, 1]).standard_normal(sample.noise.shape, np.float32))
        for name, (model, steps, elsewhere) in compared.items():
            hu = sample.hu(synthesize_crop(model, sample, steps, noise=other if elsewhere else None))
            reference = hu if reference is None else reference
            values = measure(hu, reference, sample)
            cases.append({"crop": number, "region": sample.region.name, "method": name, "evaluations": len(steps)})
            cases[-1] |= values
        log(f"crop {number + 1}/{len(samples)} ({sample.region.name}, {sample.crop.level})")
    lines = [ReportRow("", name, _means(cases, name)) for name in compared]
    facts = {"model": teacher.name, "sha256": teacher.sha256, "students": {s.name: s.sha256 for s in students}}
    facts |= {"crops": len(samples), "patch": list(samples[0].crop.x0.shape[1:])}
    return Report("distillation", "Few steps", METRICS, lines, notes=NOTES, facts=facts, cases=cases)


def measure(hu: np.ndarray, reference: np.ndarray, sample: Sample) -> dict[str, float | None]:
    """The metrics of one result in HU (Z, Y, X), but for its evaluations; None where it is the reference itself."""
    real, body, window = sample.hu(sample.crop.x0), sample.crop.labels.numpy() > 0, sample.region.window
    body = body if body.any() else np.ones_like(body)
    same = hu is reference
    to_teacher = quality(hu, reference, body, window)
    return {
        "HU from 50 steps": None if same else float(np.abs(hu - reference)[body].mean()),
        "PSNR": None if same else to_teacher.psnr,
        "SSIM": None if same else to_teacher.ssim,
        "SSIM to CT": quality(hu, real, body, window).ssim,
        "histogram HU": float(wasserstein_distance(hu[body], real[body])),
        "detail": detail(hu, body) / detail(real, body),
    }


def detail(hu: np.ndarray, body: np.ndarray) -> float:
    """The mean absolute difference of neighbors within the body, over the three axes: blur lowers it."""
    steps = []
    for axis in range(3):
        both = np.minimum(*(np.take(body, range(n, body.shape[axis] - 1 + n), axis) for n in (0, 1)))
        steps.append(np.abs(np.diff(hu, axis=axis))[both])
    return float(np.concatenate(steps).mean())


def _means(cases: Sequence[dict], method: str) -> tuple[float | None, ...]:
    own_cases = [case for case in cases if case["method"] == method]
    columns = [[case[metric.name] for case in own_cases] for metric in METRICS]
    return tuple(None if None in column else float(np.mean(column)) for column in columns)
