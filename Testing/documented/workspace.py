"""The folder that a document's commands run in: recipes in small, the files that it takes for granted, and what other
programs would have made.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import SimpleITK as sitk
from blocks import REPOSITORY

from MedDiffFMLib.models.device import PRECISION_VARIABLE, RUNTIME_VARIABLE

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
RESTORER = {
    "scans": {"chest_lidc0314": 1, "chest_nsclc001": 1},  # which the made data have
    "channels": [8, 8, 16, 16],
    "places": 2,
    "steps": 1,
    "save_every": 1,
    "validate_every": 1,
    "precision": "float32",
}
CUT = {"low-dose": [24, 24], "thick-slices": [24, 24]}


def make_recipes(folder: Path) -> None:
    """Write `Training/recipes` with a network of 8 channels and a step."""
    recipes = REPOSITORY / "Training" / "recipes"
    for file in recipes.glob("*/*.json"):
        made = folder / "Training" / "recipes" / file.relative_to(recipes)
        made.parent.mkdir(parents=True, exist_ok=True)
        settings = json.loads(file.read_text(encoding="utf-8"))
        made.write_text(json.dumps(settings if file.name == "tasks.json" else _small(settings)), encoding="utf-8")


def set_environment(folder: Path) -> None:
    """Let this process and those it starts find the tests' stand-in of TotalSegmentator, with weights (empty files),
    keep to a data folder of their own, and compute by PyTorch in float32: to measure what is faster takes seconds.
    """
    os.environ |= {"MEDDIFF_FM_HOME": str(folder / "home"), RUNTIME_VARIABLE: "torch", PRECISION_VARIABLE: "float32"}
    fold = folder / "weights" / "Dataset297_stand_in" / "trainer" / "fold_0"
    fold.mkdir(parents=True, exist_ok=True)
    (fold / "checkpoint_final.pth").touch()
    stand_ins = str(REPOSITORY / "Testing" / "stand_ins")
    sys.path.insert(0, stand_ins)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [stand_ins, os.environ.get("PYTHONPATH")]))
    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
    os.environ["STAND_IN_LOG"] = str(folder / "weights" / "log")


def _small(settings: dict) -> dict:
    if "scans" in settings:
        return settings | RESTORER | {"patch": settings.get("patch", {}) | {"edge": 32}}
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


def stand_in_for(program: str, words: list[str], folder: Path) -> None:
    """Make what another program would have made of its words, where a later command needs it."""
    if program == "nnUNetv2_plan_and_preprocess":
        (folder / "nnUNet" / "preprocessed" / "Dataset006_Lung").mkdir(parents=True)
    if program == "nnUNetv2_predict":
        images, found = (folder / words[words.index(option) + 1] for option in ("-i", "-o"))
        shutil.copytree(images.with_name("labelsTs"), found)  # a judge that is never wrong


def prepare_for(words: list[str], folder: Path) -> None:
    """Make what a command needs and another program would have made: images of other methods."""
    for option, value in pairwise(words):
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
