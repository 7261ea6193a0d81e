"""MedDiff-FM: one diffusion foundation model of CT, six tasks. Importing this needs only the standard library."""

import os
import sys

__version__ = "0.1.0"

if sys.platform == "darwin":  # before PyTorch is imported: what an Apple GPU cannot compute, the processor does
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

_WHERE = {
    "load_model": ".models.loading",
    "read_volume": ".volumes.io",
    "read_anatomy": ".anatomy.label_maps.reading",
    "write_volume": ".volumes.io",
}


def __getattr__(name: str):
    """`load_model`, the tasks, and reading and writing volumes; what they need loads when they are first asked for."""
    from importlib import import_module

    tasks = import_module(".parameters", __name__).TASKS
    where = f".tasks.{name}" if name.replace("_", "-") in tasks else _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(where, __name__), name)
