"""`meddiff-fm doctor`: whether this computer can run the tasks, how well, and whether it computes what it should."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..models.loading import Model
    from ..self_test.record import StatisticCheck


def doctor(
    model: Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to test.")] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where the model computes.")] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="auto|float32|bfloat16|float16", help="Arithmetic of the network.")
    ] = "auto",
    runtime: Annotated[str, typer.Option(metavar="auto|torch|openvino", help="What evaluates the network.")] = "auto",
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test",
            help="Also run every task on a small CT, and compare the results with those recorded for the model.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check Python, PyTorch, device, memory, disk and model, and run the network once."""
    from ..models.hardware import describe_pytorch

    facts = {**_computer(), **describe_pytorch(), **_segmenter()}
    lines: Sequence[StatisticCheck] = ()
    try:
        loaded = _load(model, device, precision, runtime)
        facts |= _describe(loaded)
        lines, problem = _self_test(loaded) if self_test else ((), None)
    except InputError as error:
        problem = str(error)
    if as_json:
        tested = {"self_test": [line.to_dict() for line in lines]} if self_test else {}
        print(json.dumps(facts | tested | {"problem": problem}, indent=2))
    else:
        _print(facts, lines, problem or ("ready: this computer computes what it should" if self_test else "ready"))
    if problem:
        raise typer.Exit(2)


def _print(facts: dict, lines: Sequence[StatisticCheck], verdict: str) -> None:
    """Print the facts, the self-test's lines and the verdict."""
    for name, value in facts.items():
        if value is None:  # the system does not say, or there is no GPU
            continue
        print(f"{name.replace('_', ' '):>16}  {value}")
    if lines:
        print(f"\n{'self-test':>16}  {'':46}{'measured':>9}{'recorded':>10}{'tolerance':>11}")
    for line in lines:
        measured = "–" if line.value is None else f"{line.value:.3f}"
        numbers = f"{measured:>9}{line.expected:>10.3f}{line.tolerance:>11.3f}"
        print(f"{line.task:>16}  {line.statistic:46}{numbers}  {'ok' if line.ok else 'differs'}")
    print(f"{'verdict':>16}  {verdict}")


def _computer() -> dict:
    """The facts about versions, system, memory and disk."""
    from ..models.hardware import memory_gb, versions
    from ..models.store import data_folder

    home = data_folder()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    return {
        **versions(),
        "system": f"{platform.system()} {platform.machine()}",
        "memory_gb": memory_gb(),
        "disk_free_gb": round(shutil.disk_usage(existing).free / 1e9, 1),
        "data_folder": str(home),
    }


def _segmenter() -> dict:
    from ..anatomy.segmenter import describe

    return {"totalsegmentator": describe()}


def _load(name: str | None, device: str, precision: str, runtime: str) -> Model:
    from ..models.loading import load_model

    return load_model(name, device, precision, runtime)


def _describe(model: Model) -> dict:
    """A loaded model, where it computes, and the time of one window."""
    import torch

    from ..models.precision import window_inputs

    edge = 32  # enough to run every layer, in seconds on any computer
    inputs = window_inputs(model.network, edge, model.device)
    network = model.evaluator(model.network)
    with torch.inference_mode(), model.autocast():
        for _ in range(2):  # the first one compiles it
            started = time.monotonic()
            network(*inputs)
    return {
        "model": f"{model.name} ({model.source}, verified)",
        "computes_on": str(model.device),
        "precision": str(model.dtype).removeprefix("torch.") + (f" ({model.timing})" if model.timing else ""),
        "runtime": "; ".join([" and ".join(model.runtimes), *model.problems, *_faster_runtime(model)]),
        "speed": f"a window of {edge}³ in {time.monotonic() - started:.2f} s",
    }


def _faster_runtime(model: Model) -> list[str]:
    """What would evaluate the networks faster here, in a sentence, if anything would."""
    from ..models.device import has_openvino

    if model.device.type != "cpu" or has_openvino():
        return []
    return [
        "OpenVINO would take a fifth to a quarter less time for the networks, and half on a processor that computes in "
        "bfloat16: pip install 'meddiff-fm[cpu]'"
    ]


def _self_test(model: Model) -> tuple[Sequence[StatisticCheck], str | None]:
    """The statistics beside the recorded ones, and one sentence if they differ. InputError if none are recorded."""
    from ..self_test.record import compare, problem_of
    from .bar import progress_bar

    with progress_bar("Self-test") as progress:
        lines = compare(model, progress=progress)
    return lines, problem_of(lines, model)
