"""Whether this computer computes what the authors' did: a model's statistics of `self_test`, as recorded and as found.

config.json keeps under `self_test`: recorded_for (a digest of weights, settings and CT), recorded_with (versions), and
statistics: by task and name what is expected, with the tolerance. That is a multiple of what bfloat16 changes, as the
rounding of any processor or GPU changes less; what is wrong changes far more.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import InputError
from ..models.components import COMPONENTS
from ..models.config import sha256_of, verify
from ..models.folder import set_in_config
from ..models.hardware import versions
from ..models.loading import Model, load_model
from ..progress import ProgressCallback, sub_progress
from .measure import FOLDER, MEASURED, Statistic, measure

KEY = "self_test"
OF_BFLOAT16 = 4.0  # the tolerance, in changes by bfloat16


@dataclass(frozen=True)
class StatisticCheck:
    """A statistic measured here beside the recorded one. value is None where the task could not be done: `problem` says
    why.
    """

    task: str
    statistic: str
    value: float | None
    expected: float
    tolerance: float
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the statistic is within its tolerance."""
        return self.value is not None and abs(self.value - self.expected) <= self.tolerance  # NaN is not

    def to_dict(self) -> dict:
        """The check for JSON, which knows no NaN."""
        finite = self.value is not None and math.isfinite(self.value)
        return asdict(self) | {"value": self.value if finite else None, "ok": self.ok}


def record(folder: Path, progress: ProgressCallback | None = None) -> tuple[dict, dict[str, str]]:
    """Measure a model's tasks on the processor, in float32 and bfloat16, and keep the statistics in its config.json.

    Returns them ({task: {statistic: {expected, tolerance}}}), and for each task that the model cannot do the reason.
    InputError if a ControlNet or a refiner is damaged, or something is no finite number: then nothing is written.
    """
    verify(folder)
    for component in COMPONENTS:  # what is damaged would be left out as if it were not there
        for name in component.names(folder):
            component.verify(folder, name)
    measured: list[dict] = []
    for number, precision in enumerate(("float32", "bfloat16")):
        model = load_model(folder, device="cpu", precision=precision)
        measured.append(dict(measure(model, MEASURED, sub_progress(progress, number / 2, (number + 1) / 2))))
    left_out = {task: str(result) for task, result in measured[0].items() if isinstance(result, InputError)}
    statistics = {
        task: _with_tolerance(measured[0][task], measured[1][task]) for task in MEASURED if task not in left_out
    }
    values = [number for of_task in statistics.values() for entry in of_task.values() for number in entry.values()]
    if not values or not all(math.isfinite(value) for value in values):
        raise InputError(f"{folder} computes no finite statistics: record those of a model whose training went well.")
    entry = {"recorded_for": _digest(model), "recorded_with": versions(), "statistics": statistics}
    set_in_config(folder, KEY, entry)
    return statistics, left_out


def _with_tolerance(in_float32: Sequence[Statistic], in_bfloat16: Sequence[Statistic]) -> dict[str, dict[str, float]]:
    """The statistics as config.json keeps them: by name what is expected, and the tolerance."""
    return {
        exact.name: {
            "expected": round(exact.value, 4),
            "tolerance": round(max(exact.rounding, OF_BFLOAT16 * abs(coarse.value - exact.value)), 4),
        }
        for exact, coarse in zip(in_float32, in_bfloat16, strict=True)
    }


def compare(model: Model, tasks: Sequence[str] = (), progress: ProgressCallback | None = None) -> list[StatisticCheck]:
    """The recorded statistics beside those found here, of `tasks` or all that are recorded.

    InputError if none are recorded, or not for these weights and settings.
    """
    entry = model.config.get(KEY)
    if not entry:
        raise InputError(
            f"The model {model.name} has no recorded statistics: test another model, or record them on a computer "
            "that you trust with meddiff-fm train self-test FOLDER."
        )
    if entry["recorded_for"] != _digest(model):
        raise _stale(model)
    lines = []
    for task, measured in measure(model, tasks or entry["statistics"], progress):
        lines += _lines(model, task, entry["statistics"][task], measured)
    return lines


def _lines(model: Model, task: str, recorded: dict, measured: Sequence[Statistic] | InputError) -> list[StatisticCheck]:
    """The checks of a task's statistics. measured: measured here, or why they could not be."""
    if isinstance(measured, InputError):
        return [StatisticCheck(task, name, None, **entry, problem=str(measured)) for name, entry in recorded.items()]
    if [statistic.name for statistic in measured] != list(recorded):
        raise _stale(model)
    return [StatisticCheck(task, statistic.name, statistic.value, **recorded[statistic.name]) for statistic in measured]


def problem_of(lines: Sequence[StatisticCheck], model: Model) -> str | None:
    """The sentence that names what differs and what to do; None if all is well."""
    wrong = [line for line in lines if not line.ok]
    if not wrong:
        return None
    tasks, first = ", ".join(dict.fromkeys(line.task for line in wrong)), wrong[0]
    figures = f"{first.statistic}: {first.value:.4g}, recorded {first.expected:.4g}" if first.value is not None else ""
    advice = "do not use its results, and install PyTorch, MedDiff-FM and the model again"
    if model.device.type != "cpu" or str(model.dtype) != "torch.float32":
        advice = (
            "do not use its results, renew the graphics driver and PyTorch, and until then work with --device cpu "
            "--precision float32 if doctor says that these are well"
        )
    return (
        f"This computer does not compute what was recorded for {model.name} in {tasks} "
        f"({figures or first.problem.rstrip('.')}): {advice}."
    )


def _stale(model: Model) -> InputError:
    """The error of statistics that were recorded for something else."""
    return InputError(
        f"The statistics of {model.name} were recorded for other weights or settings, or by another version than this: "
        "get model and program together, or record them again with meddiff-fm train self-test FOLDER."
    )


def _digest(model: Model) -> str:
    """SHA-256 of all that the statistics depend on besides the program: weights of all networks, settings, the CT."""
    settings = json.dumps(model.config.get("tasks", {}), sort_keys=True)
    weights = [*sorted(model.folder.glob("*.safetensors")), *sorted(model.folder.glob("*/*/*.safetensors"))]
    parts = [settings, *(sha256_of(file) for file in (*weights, *sorted(FOLDER.glob("*.nii.gz"))))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
