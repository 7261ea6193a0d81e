"""Images and masks as nnU-Net v2 wants them, and the Dice of what it found (the paper's measure of lesions, IV-A3)."""

from __future__ import annotations

import json
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


def dice_of_predictions(folder: Path, predictions: Path) -> dict[str, float]:
    """Dice of every mask in `labelsTs` with NAME.nii.gz in the folder of predictions (anything above 0 is lesion).

    InputError if a prediction is missing or lies on another grid.
    """
    found = {}
    for file in sorted((folder / "labelsTs").glob(f"*{ENDING}")):
        if not (predictions / file.name).is_file():
            raise InputError(
                f"{predictions} has no {file.name}: let nnUNetv2_predict segment {folder}/imagesTs into it."
            )
        truth, predicted = read_labels(file), read_labels(predictions / file.name)
        if not predicted.same_grid(truth):
            raise InputError(f"{predictions / file.name} is not on the grid of {file}: predict that folder's images.")
        found[file.name.removesuffix(ENDING)] = dice(predicted.voxels > 0, truth.voxels > 0) or 0.0
    if not found:
        raise InputError(f"{folder} holds no masks (labelsTs): name a folder that --keep has written.")
    return found
