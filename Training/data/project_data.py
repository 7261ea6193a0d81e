"""The manifest of a folder laid out as the project's own data: NAME.nii.gz and NAME_seg.nii.gz, index.json with region
and spacing of each, labels.json with the names of the masks' values; and of the folder of OpenKBP's patients beside it,
which has NAME_cov.nii.gz too. What is known of that data alone is here.
"""

from __future__ import annotations

import json
from pathlib import Path

from MedDiffFMLib.anatomy.classes import label_for_foreign_name
from MedDiffFMLib.errors import InputError

SPLIT = json.loads(Path(__file__).with_name("split.json").read_text(encoding="utf-8"))
LESION_WORDS = ("nodule", "tumor", "sarcoma")
SAME_PATIENT = {
    "chest_lidc0314_thin": "chest_lidc0314",
    "chest_ricord1012_thin": "chest_ricord1012",
    "abd_acrin001b": "hn_acrin001a",
    "chest_ts_aorta": "chest_ts_full",
}


def manifest_lines(data: Path) -> list[dict[str, str]]:
    """The lines of the folder's manifest, with absolute paths. InputError if it has no such layout."""
    data = Path(data).absolute()
    if any(data.glob("*_cov.nii.gz")):
        return [_partial_line(path) for path in sorted(data.glob("*_cov.nii.gz"))]
    for file in ("index.json", "labels.json"):
        if not (data / file).is_file():
            raise InputError(f"{data} has no {file}: name the folder that holds the volumes and their index.")
    try:
        index, labels = (json.loads((data / f).read_text(encoding="utf-8")) for f in ("index.json", "labels.json"))
        return [_line(data, name, entry, labels.get(name, {})) for name, entry in index.items()]
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"index.json or labels.json of {data} cannot be used ({type(error).__name__}: {error}): "
            "they list {id: {region}} and {id: {number: name}}."
        ) from None


def region_of(text: str) -> str:
    """The model's region of the data folder's free text: "head-neck + upper chest" is head-neck, "pelvis (crop)"
    abdomen.
    """
    words = {"head": "head-neck", "chest": "chest", "abd": "abdomen", "pelvis": "abdomen"}
    for word, region in words.items():
        if text.startswith(word):
            return region
    raise ValueError(f"a region cannot be {text!r}")


def split_of(name: str) -> str:
    """ "train", or the split that `split.json` keeps the case in."""
    return next((split for split, names in SPLIT.items() if name in names), "train")


def _line(data: Path, name: str, entry: dict, masks: dict[str, str]) -> dict[str, str]:
    mask = str(data / f"{name}_seg.nii.gz")
    lesions = [number for number, mask_name in masks.items() if any(word in mask_name for word in LESION_WORDS)]
    organs = any(label_for_foreign_name(mask_name) is not None for mask_name in masks.values())
    return {
        "path": str(data / f"{name}.nii.gz"),
        "patient": SAME_PATIENT.get(name, name),
        "region": region_of(entry["region"]),
        "anatomy": mask if organs else "none",
        "lesion": mask if lesions else "",
        "lesion_labels": " ".join(lesions),
        "split": split_of(name),
        "placed": "no" if "crop" in entry["region"] else "yes",
        "name": name,
    }


def _partial_line(coverage: Path) -> dict[str, str]:
    """The line of a patient of OpenKBP: a neck of which the CT is given where the plan's dose is computed. Most of its
    structures are no classes of the model.
    """
    stem = coverage.name.removesuffix("_cov.nii.gz")
    name = f"openkbp_{stem}"
    return {
        "path": str(coverage.with_name(f"{stem}.nii.gz")),
        "patient": name,
        "region": "head-neck",
        "anatomy": "none",
        "coverage": str(coverage),
        "split": split_of(name),
        "placed": "no",
        "name": name,
    }
