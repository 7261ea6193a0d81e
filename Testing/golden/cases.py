"""The golden cases: every task × {one region, a whole body} × its qualities, on a tiny model of random weights.

What a case computes is kept in `digests.json`, so that code can be moved and renamed, and its voxels shown to be the
same. The inputs are coarse (5 × 5 × 10 mm) and made here by thresholds, so that they depend on nothing of the
library but its reading of files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from tiny_model import save_full_tiny_model, save_tiny_controls, save_tiny_model
from whole_body import whole_body

import MedDiffFMLib
from MedDiffFMLib.parameters import TASKS

CHEST, INNER = slice(12, 24), (slice(None), slice(6, -6), slice(6, -6))
BODY, LUNG = 118, 119  # labels, as thresholds tell them
EXTENTS = ("chest", "whole")
SMALL = 2.5  # mm: a label map of one region shall be small where it is computed at 1 mm
COARSE = {"spacing_mm": 5.0}  # in place of 1 mm: another grid than the scan's, and few windows

OPTIONS = {
    "denoise": {
        "fast": {"sigma": 20, "strength": "full"},  # the others as their qualities have it
        "balanced": {},
        "paper": {"sigma": 20, "steps": 3},
    },
    "detect-anomalies": {"": {"organ": "lungs", "draws": 2, "threshold": 20}},
    "synthesize": {"fast": {"steps": 3}, "balanced": {"steps": 3}, "paper": {"steps": 3, "samples": 2}},
    "super-resolve": {"fast": {"factor": 2}, "balanced": {"factor": 2}, "paper": {"factor": 2, "steps": 3}},
    "generate-lesion": {
        "fast": {"synthesis_steps": 3, "steps": 3, "resample": 2, "samples": 2},
        "balanced": {"synthesis_steps": 3, "steps": 3, "resample": 1},
        "paper": {"synthesis_steps": 3},
    },
    "inpaint-lesion": {"": {"steps": 3, "resample": 2, "samples": 2}},
}
HELPED = {"denoise": "balanced", "super-resolve": "balanced"}  # by refiners, in one evaluation


@dataclass(frozen=True)
class Case:
    """A task (a name in `TASKS`) on an extent, with a quality ("" where it has none), perhaps helped by refiners."""

    task: str
    extent: str
    quality: str
    helped: bool = False

    @property
    def name(self) -> str:
        return "/".join(filter(None, (self.task, self.extent, self.quality, "helped" * self.helped)))

    @property
    def options(self) -> dict:
        quality = {"quality": self.quality} if self.quality else {}
        region = {} if self.extent == "whole" else {"region": self.extent}
        return {**quality, **region, **OPTIONS[self.task][self.quality], "seed": 3}


CASES = [
    Case(task, extent, quality, helped)
    for task in OPTIONS
    for extent in EXTENTS
    for quality in OPTIONS[task]
    for helped in (False, True)
    if not helped or quality == HELPED.get(task)
]


def make_inputs(data: Path) -> dict[str, dict]:
    """A CT, its label map and a lesion in its lung, by the extent and then by the kind of `FileSlot`."""
    ct, organs = whole_body(data)
    ct = replace(ct, voxels=np.ascontiguousarray(ct.voxels[INNER]))
    labels = label_map(ct.voxels, organs[INNER])
    lesion = np.zeros(labels.shape, np.uint8)
    lesion[16:18, 14:17, 19:22] = 1
    whole = {"ct": ct, "labels": ct.with_voxels(labels), "mask": ct.with_voxels(lesion)}
    return {"whole": whole, "chest": {kind: replace(v, voxels=v.voxels[CHEST]) for kind, v in whole.items()}}


def label_map(hu: np.ndarray, organs: np.ndarray) -> np.ndarray:
    """Lungs in the chest's slices and body around the organs, by threshold: uint8 (Z, Y, X)."""
    labels = np.where(organs > 0, organs, np.where(hu > -500, BODY, 0)).astype(np.uint8)
    labels[CHEST][(hu[CHEST] > -950) & (hu[CHEST] < -500)] = LUNG
    return labels


def make_models(folder: Path) -> dict[bool, object]:
    """A tiny model with ControlNets, and one that also has all that helps (True)."""
    plain = save_tiny_controls(save_tiny_model(folder / "plain", patch=16))
    folders = {False: plain, True: save_full_tiny_model(folder / "helped", patch=16)}
    return {key: MedDiffFMLib.load_model(path, "cpu", precision="float32") for key, path in folders.items()}


def settings(case: Case) -> dict:
    """What the model's config says of the tasks: coarser grids and fewer steps, so that a case takes seconds."""
    apart = {"overlap": 0.0} if case.extent == "whole" else {}
    denoise, thin = {"steps": 2}, {"steps": 2, "zeta": 0.5}
    if case.helped:
        denoise, thin = {"steps": 2, "nlm_share": 0.5, "mirrored": 2}, {"mirrored": 2, "refiner_mirrored": 2}
    return {
        "denoise": {"fast": {"nlm_share": 0.25}, "balanced": denoise, "paper": COARSE | apart},
        "detect-anomalies": COARSE,
        "synthesize": {"paper": {"levels": ["image"]}, "balanced": apart} if apart else {},
        "super-resolve": {
            "fast": {"steps": 1 if apart else 2} | apart,
            "balanced": thin | apart,
            "paper": {"pixel_mm": COARSE["spacing_mm"]} | apart,
        },
        "inpaint-lesion": COARSE,
    }


def run(case: Case, inputs: dict[str, dict], models: dict[bool, object]):
    """The result of a case, and what a look said of it before."""
    kinds = [slot.kind for slot in TASKS[case.task].files if not slot.output]
    volumes = [inputs[case.extent][kind] for kind in kinds]
    if kinds[0] == "labels" and case.extent == "chest":
        volumes = [replace(volume, spacing=(SMALL,) * 3) for volume in volumes]
    model = models[case.helped]
    model = replace(model, config=model.config | {"tasks": settings(case)})
    name = case.task.replace("-", "_")
    found = import_module(f"MedDiffFMLib.tasks.{name}").look(*volumes, model=model, **case.options)
    return getattr(MedDiffFMLib, name)(*volumes, model=model, **case.options), found
