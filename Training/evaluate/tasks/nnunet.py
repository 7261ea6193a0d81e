"""Images and masks as nnU-Net v2 wants them, and the Dice of what it found (the paper's measure of lesions, IV-A3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_labels, write_volume
from MedDiffFMLib.volumes.volume import Volume

from ..metrics.anatomy import dice

ENDING = ".nii.gz"
DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ENDING}


def start_folder(folder: Path) -> None:
    """An empty raw data set: `imagesTs`, `labelsTs`, dataset.json. InputError if the folder holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder: name a new one for the images and masks.")
    if not folder.parent.is_dir():
        raise InputError(f"{folder} cannot be made, {folder.parent} does not exist: create it first.")
    for part in ("imagesTs", "labelsTs"):
        (folder / part).mkdir(parents=True)
    text = json.dumps(DATASET | {"numTraining": 0}, indent=2)
    (folder / "dataset.json").write_text(text + "\n", encoding="utf-8")


def write_case(folder: Path, name: str, ct: Volume, lesion: np.ndarray) -> None:
    """A CT (HU, int16) and its lesion mask as the test case NAME."""
    voxels = np.rint(np.clip(ct.voxels, -32768, 32767)).astype(np.int16)
    write_volume(replace(ct, voxels=voxels, grid_record=b""), folder / "imagesTs" / f"{name}_0000{ENDING}")
    mask = replace(ct, voxels=lesion.astype(np.uint8), grid_record=b"")
    write_volume(mask, folder / "labelsTs" / f"{name}{ENDING}")


def dice_of_predictions(folder: Path, predictions: Path, lesion_labels: Sequence[int] = ()) -> dict[str, float]:
    """Dice of every mask in `labelsTs` with NAME.nii.gz in the folder of predictions.

    lesion_labels: which of the predictions' labels are lesion; nothing where they can only be one. InputError if a
    prediction is missing, lies on another grid, or has several labels and nothing says which are lesion.
    """
    found, seen = {}, set()
    known = sorted((folder / "labelsTs").glob(f"*{ENDING}"))
    if not known:
        raise InputError(f"{folder} holds no masks (labelsTs): name a folder that --keep has written.")
    if not lesion_labels:
        _check_one_label(predictions, _labels_of(predictions))
    for file in known:
        if not (predictions / file.name).is_file():
            raise InputError(
                f"{predictions} has no {file.name}: let nnUNetv2_predict segment {folder}/imagesTs into it."
            )
        truth, predicted = read_labels(file), read_labels(predictions / file.name)
        if not predicted.same_grid(truth):
            raise InputError(f"{predictions / file.name} is not on the grid of {file}: predict that folder's images.")
        seen |= set(np.unique(predicted.voxels).tolist()) - {0}
        lesion = np.isin(predicted.voxels, lesion_labels) if lesion_labels else predicted.voxels > 0
        found[file.name.removesuffix(ENDING)] = dice(lesion, truth.voxels > 0) or 0.0
    if not lesion_labels:
        _check_one_label(predictions, dict.fromkeys(seen, "?"))
    return found


def _labels_of(predictions: Path) -> dict[int, str]:
    """{label: its name} but for the background, of the dataset.json that nnU-Net leaves with its predictions; nothing
    without one.
    """
    try:
        labels = json.loads((predictions / "dataset.json").read_text(encoding="utf-8"))["labels"]
    except (OSError, ValueError, KeyError):
        return {}
    return {number: name for name, number in labels.items() if isinstance(number, int) and number > 0}


def _check_one_label(predictions: Path, labels: Mapping[int, str]) -> None:
    if len(labels) > 1:
        named = ", ".join(str(n) if name == "?" else f"{n} ({name})" for n, name in sorted(labels.items()))
        raise InputError(f"{predictions} has the labels {named}: say with --lesion-labels which of them are lesion.")
