"""The folder that the documented commands run in: recipes in small, and what a document says to make by hand."""

from __future__ import annotations

import json
import os
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import SimpleITK as sitk
from blocks import REPOSITORY

NETWORK = {"channels": [8, 8, 16], "attention_levels": [False, False, True], "head_channels": 8, "norm_groups": 8}
WINDOW = 32  # voxels along an axis that a model is used in: fewer windows, where a quality has hundreds of steps
SMALL = {  # settings by the name that any recipe has them under
    "patch": [16, 16, 16],
    "steps": 1,
    "accumulate": 1,
    "batch": 2,
    "warmup": 1,
    "precision": "float32",
    "save_every": 1,
    "validate_every": 0,
    "sample_every": 0,
    "filters": 8,
    "pairs": 2,
    "size": [20, 40, 40],
    "crop": [2, 24, 24],
    "compile": False,
    "patch_schedule": [],
}
CUT = {"low-dose": [24, 24], "thick-slices": [24, 24]}


def make_recipes(folder: Path) -> None:
    """Write `Training/recipes` with a network of 8 channels and a step, and the files that documents say to copy."""
    recipes = REPOSITORY / "Training" / "recipes"
    for file in recipes.glob("*/*.json"):
        made = folder / "Training" / "recipes" / file.relative_to(recipes)
        made.parent.mkdir(parents=True, exist_ok=True)
        settings = json.loads(file.read_text(encoding="utf-8"))
        made.write_text(json.dumps(settings if file.name == "tasks.json" else _small(settings)), encoding="utf-8")
    base = folder / "Training" / "recipes" / "base"
    for name in ("four.json", "my.json", "scratch.json"):
        shutil.copy(base / "paper.json", folder / name)


def install_stand_in(folder: Path) -> None:
    """Let this process and those it starts find the tests' stand-in of TotalSegmentator, with weights (empty files)."""
    fold = folder / "weights" / "Dataset297_stand_in" / "trainer" / "fold_0"
    fold.mkdir(parents=True, exist_ok=True)
    (fold / "checkpoint_final.pth").touch()
    stand_ins = str(REPOSITORY / "Testing" / "stand_ins")
    sys.path.insert(0, stand_ins)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [stand_ins, os.environ.get("PYTHONPATH")]))
    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
    os.environ["STAND_IN_LOG"] = str(folder / "weights" / "log")


def _small(settings: dict) -> dict:
    made = {name: SMALL.get(name, value) for name, value in settings.items()}
    for part in ("network", "crops"):
        if part in made or "crops" in made:
            made[part] = {name: SMALL.get(name, value) for name, value in made.get(part, {}).items()}
    if "crops" in made:
        made["network"] |= NETWORK | {"patch": WINDOW}
        made["crops"].pop("case_weights", None)
    made.pop("case_weights", None)
    if settings.get("kind") in CUT:
        made["cut"] = CUT[settings["kind"]]
    return made


def prepare_for(words: list[str], folder: Path) -> None:
    """Make what a command needs and another program would have made: segmentations, and images of other methods."""
    for option, value in pairwise(words):
        kept = folder / words[words.index("--keep") + 1] / "labelsTs" if "--keep" in words else folder / "none"
        if option == "--segmentations" and kept.is_dir() and not (folder / value).exists():
            shutil.copytree(kept, folder / value)
        if option == "--result" and (folder / INPUTS[value]).is_dir() and not (folder / value).exists():
            _images_of_another_method(folder, value)


INPUTS = {  # by method: the folder and the kind of the inputs that were written for it
    "ctformer": "mayo-inputs/low",
    "tvsrn": "rplhr-inputs/thick",
    "padim": "bmad-inputs/ct",
    "maisi": "maisi-inputs/labels",
    "med-ddpm": "lung-inputs/labels",
    "difftumor": "lung-cts/ct",
}


def _images_of_another_method(folder: Path, method: str) -> None:
    """The inputs themselves as results, thick slices brought onto the thin ones' grid."""
    (folder / method).mkdir()
    for file in sorted((folder / INPUTS[method]).iterdir()):
        image = sitk.Cast(sitk.ReadImage(str(file)), sitk.sitkFloat32)
        if method == "tvsrn":
            thin = next((folder / "raw" / "rplhr-ct" / "test" / "1mm").iterdir())
            image = sitk.Resample(image, sitk.ReadImage(str(thin)), sitk.Transform(), sitk.sitkLinear, -1000)
        sitk.WriteImage(image, str(folder / method / file.name))
