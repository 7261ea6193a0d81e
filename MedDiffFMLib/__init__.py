"""MedDiff-FM: one diffusion foundation model of CT, six tasks. Importing this needs only the standard library."""

__version__ = "0.1.0"

_WHERE = {
    "load_model": ".models.loading",
    "denoise": ".tasks.denoise",
    "detect_anomalies": ".tasks.detect_anomalies",
    "synthesize": ".tasks.synthesize",
    "generate_lesion": ".tasks.generate_lesion",
    "inpaint_lesion": ".tasks.inpaint_lesion",
    "super_resolve": ".tasks.super_resolve",
    "read_volume": ".volumes.io",
    "read_anatomy": ".anatomy.label_maps.reading",
    "write_volume": ".volumes.io",
}


def __getattr__(name: str):
    """`load_model`, the tasks, and reading and writing volumes; what they need loads when they are first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name], __name__), name)
