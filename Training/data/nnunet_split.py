"""The split of a manifest as nnU-Net v2 reads it: `splits_final.json`, one fold, test patients in neither part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from MedDiffFMLib.errors import InputError

from .manifest import ManifestRow
from .split import TRAIN, VALIDATION, assign_splits

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")


def fold_of(rows: Sequence[ManifestRow], salt: str = "") -> dict[str, list[str]]:
    """{"train": cases, "val": cases} of the manifest's splits, cases by nnU-Net's names: a CT's file name without its
    ending and without a channel (_0000). InputError if two CTs have one name, or a part is empty.
    """
    splits = assign_splits(rows, salt)
    lines: dict[str, ManifestRow] = {}
    fold: dict[str, list[str]] = {"train": [], "val": []}
    for row in rows:
        name = _case_name(row.path)
        other = lines.setdefault(name, row)
        if other is not row:
            raise InputError(f"Lines {other.line} and {row.line} are both called {name} by nnU-Net: rename a file.")
        part = {TRAIN: "train", VALIDATION: "val"}.get(splits[row.name])
        if part:
            fold[part].append(name)
    for part, names in fold.items():
        if not names:
            split = TRAIN if part == "train" else VALIDATION
            raise InputError(f"The manifest has no line in {split}, which nnU-Net needs: write some into its split.")
    return {part: sorted(names) for part, names in fold.items()}


def write_splits(rows: Sequence[ManifestRow], file: Path, salt: str = "") -> dict[str, list[str]]:
    """Write the one fold to a file that appears whole or not at all; returns it."""
    fold = fold_of(rows, salt)
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps([fold], indent=1) + "\n", encoding="utf-8")
    part.replace(file)
    return fold


def _case_name(path: Path) -> str:
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), "")
    return path.name.removesuffix(ending).removesuffix("_0000")
