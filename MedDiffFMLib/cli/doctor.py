"""`meddiff-fm doctor`: whether this computer can run the tasks, and how well."""

from __future__ import annotations

import json
import platform
import shutil
import time
from typing import Annotated

import typer

from ..errors import InputError


def doctor(
    model: Annotated[str | None, typer.Option("--model", metavar="NAME|DIR|HUB_ID", help="Model to test.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check Python, PyTorch, device, memory, disk and model, and run the network once."""
    from ..system import describe_pytorch

    facts = {**_computer(), **describe_pytorch(), **_segmenter()}
    try:
        facts |= _model(model)
        problem = None
    except InputError as error:
        problem = str(error)
    if as_json:
        print(json.dumps(facts | {"problem": problem}, indent=2))
    else:
        for name, value in facts.items():
            if value is None:  # the system does not tell, or there is no GPU
                continue
            print(f"{name.replace('_', ' '):>16}  {value}")
        print(f"{'verdict':>16}  {problem or 'ready'}")
    if problem:
        raise typer.Exit(2)


def _computer() -> dict:
    from ..model_store import data_folder
    from ..provenance import versions
    from ..system import memory_gb

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
    from ..segmenter import describe

    return {"totalsegmentator": describe()}


def _model(name: str | None) -> dict:
    """Load and verify a model and time one window. InputError if there is none or it is not sound."""
    import torch

    from ..anatomy import CODE_PLANES
    from ..models import load_model

    model = load_model(name)
    edge = 32  # enough to run every layer, in seconds on any computer
    planes = {"x_t": 1, "position": 6 * model.network.config.position_frequencies, "anatomy": CODE_PLANES}
    inputs = {key: torch.zeros(1, count, edge, edge, edge, device=model.device) for key, count in planes.items()}
    index = torch.zeros(1, dtype=torch.long, device=model.device)
    started = time.monotonic()
    with torch.inference_mode(), torch.autocast(model.device.type, model.dtype, enabled=model.dtype != torch.float32):
        noise = model.network(t=index, region=index, **inputs)
    if not torch.isfinite(noise).all():
        raise InputError(f"The model {model.name} computes no finite numbers here: try --precision float32.")
    return {
        "model": f"{model.name} ({model.source}, verified)",
        "precision": str(model.dtype).removeprefix("torch."),
        "self_test": f"a window of {edge}³ in {time.monotonic() - started:.2f} s",
    }
