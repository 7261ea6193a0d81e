"""The packages that are not always installed, and the extra of this one that brings each. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

EXTRAS = {
    "cpu": ("openvino",),
    "training": tuple("accelerate astra blosc2 bm3d matplotlib medmetric skimage sklearn tensorboard".split()),
    "batch": ("distributed",),
    "anatomy": ("nibabel", "totalsegmentator"),
    "dicom": ("highdicom",),
}


def extra_of(module: str | None) -> str | None:
    """The extra that brings a module, by its import name; None if it is not of any."""
    top = (module or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def advice(modules: Sequence[str]) -> str:
    """A sentence that says what is missing and how to install it; `modules` are of one extra."""
    return (
        f"This needs packages that are not installed ({', '.join(modules)}): "
        f"pip install 'meddiff-fm[{extra_of(modules[0])}]'."
    )
