"""`meddiff-fm train prepare`: a folder of CT volumes to a training store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.anatomy import body_mask, complete_labels, find_tissue

from .store import CaseFacts, write_case

SPLIT = json.loads(Path(__file__).with_name("split.json").read_text(encoding="utf-8"))
# TotalSegmentator v2's numbers of the masks that the data folder names differently or alone.
CLASS_OF_MASK = {
    "lung_left": 10,  # the upper lobe stands for the whole left lung
    "lung_right": 12,
    "spinal_cord": 79,
    "heart": 51,
    "aorta": 52,
    "vertebra_T12": 32,
}
LESION_WORDS = ("nodule", "tumor", "sarcoma")
SAME_PATIENT = {
    "chest_lidc0314_thin": "chest_lidc0314",
    "chest_ricord1012_thin": "chest_ricord1012",
    "abd_acrin001b": "hn_acrin001a",
    "chest_ts_aorta": "chest_ts_full",
}


def region_of(text: str) -> str:
    """The model's region of the data folder's free text: "head-neck + upper chest" is head-neck, "pelvis (crop)"
    abdomen.
    """
    words = {"head": "head-neck", "chest": "chest", "abd": "abdomen", "pelvis": "abdomen"}
    return next(region for word, region in words.items() if text.startswith(word))


def split_of(name: str) -> str:
    """ "train", or the split that `split.json` keeps the case in."""
    return next((split for split, names in SPLIT.items() if name in names), "train")


def prepare(data: Path, store: Path) -> Iterator[str]:
    """Write every train and validation case of the folder `data` (its index.json names them) to `store`; yields
    their names.

    Test and held-out cases are never written: what is not in the store cannot be trained on.
    """
    index = json.loads((data / "index.json").read_text(encoding="utf-8"))
    names = json.loads((data / "labels.json").read_text(encoding="utf-8"))
    for name, entry in index.items():
        split = split_of(name)
        if split not in ("train", "validation"):
            continue
        facts = CaseFacts(
            name=name,
            patient=SAME_PATIENT.get(name, name),
            region=region_of(entry["region"]),
            spacing=tuple(entry["spacing_mm"][::-1]),
            noise_hu=entry["noise_hu"],
            placed="crop" not in entry["region"],
        )
        image = sitk.ReadImage(str(data / f"{name}.nii.gz"))
        labels = _organ_labels(data, name, names.get(name, {}))
        add_case(store, split, facts, image, labels, _lesions(data, name, names.get(name, {})))
        yield name


def _organ_labels(data: Path, name: str, names: dict[str, str]) -> sitk.Image | None:
    """The case's masks with TotalSegmentator's numbers; lesions and unknown names count as body."""
    path = data / f"{name}_seg.nii.gz"
    if not path.exists():
        return None
    image = sitk.ReadImage(str(path))
    table = np.zeros(256, np.uint8)
    for number, mask in names.items():
        table[int(number)] = int(number) if name == "abd_ts_example" else CLASS_OF_MASK.get(mask, 0)
    labels = sitk.GetImageFromArray(table[sitk.GetArrayFromImage(image)])
    labels.CopyInformation(image)
    return labels


def _lesions(data: Path, name: str, names: dict[str, str]) -> sitk.Image | None:
    """The case's lesions as 0 and 1; None if it has none marked."""
    numbers = [int(number) for number, mask in names.items() if any(word in mask for word in LESION_WORDS)]
    if not numbers:
        return None
    image = sitk.ReadImage(str(data / f"{name}_seg.nii.gz"))
    lesions = sitk.GetImageFromArray(np.isin(sitk.GetArrayFromImage(image), numbers).astype(np.uint8))
    lesions.CopyInformation(image)
    return lesions


def add_case(
    folder: Path,
    split: str,
    facts: CaseFacts,
    image: sitk.Image,
    labels: sitk.Image | None,
    lesions: sitk.Image | None = None,
) -> None:
    """Write one case to a store: oriented to RAS on its own grid; where no organ is given, body, lung, bone or gas."""
    hu = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "RAS"))
    given, lesion = (
        None if i is None else sitk.GetArrayFromImage(sitk.DICOMOrient(i, "RAS")) for i in (labels, lesions)
    )
    labelled = complete_labels(given, find_tissue(hu, facts.spacing, body_mask(hu)))
    write_case(folder, split, facts, hu, labelled, lesion)
