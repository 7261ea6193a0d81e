"""The split of patients into training, validation and test (paper, IV-A1: 90, 5 and 5 %), by a hash of their ids.

A hash needs no list and no order: a patient stays where it is when others are added. A split that the manifest names
wins, for all volumes of the patient.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from MedDiffFMLib.errors import InputError

from .manifest import ManifestRow

TRAIN, VALIDATION, TEST, HELD_OUT = "train", "validation", "test", "held-out"
SPLITS = (TRAIN, VALIDATION, TEST, HELD_OUT)
STORED = (TRAIN, VALIDATION)  # what is not in the store cannot be trained on
SHARES = {TRAIN: 0.90, VALIDATION: 0.05, TEST: 0.05}


def split_of(patient: str, salt: str = "") -> str:
    """The split (train, validation or test) of a patient's id; another `salt` draws another split."""
    draw = int(_digest(f"split\n{salt}\n{patient}")[:13], 16) / 16**13
    if draw < SHARES[TRAIN]:
        return TRAIN
    return VALIDATION if draw < SHARES[TRAIN] + SHARES[VALIDATION] else TEST


def patient_hash(patient: str, salt: str = "") -> str:
    """The hash of a patient's id that the store keeps: 12 hex digits, which distinguish patients but do not reveal
    their ids.

    Whoever can guess ids can try them: a secret `salt` prevents that.
    """
    return _digest(f"patient\n{salt}\n{patient}")[:12]


def assign_splits(rows: Sequence[ManifestRow], salt: str = "") -> dict[str, str]:
    """The split of every row, by the row's name.

    InputError if the manifest puts two volumes of a patient, or one file, on two sides.
    """
    named = defaultdict(dict)  # patient -> split -> the first row that names it
    for row in rows:
        if row.split:
            named[row.patient].setdefault(row.split, row)
    for found in named.values():
        if len(found) > 1:
            (one, a), (other, b) = list(found.items())[:2]
            raise InputError(
                f"Lines {a.line} and {b.line} ({a.name}, {b.name}) are one patient in {one} and in {other}: "
                "give all volumes of a patient the same split."
            )
    splits = {row.name: next(iter(named.get(row.patient, {})), None) or split_of(row.patient, salt) for row in rows}
    _check_files(rows, splits)
    return splits


def _check_files(rows: Sequence[ManifestRow], splits: dict[str, str]) -> None:
    """InputError if a CT, or the pair of one, is in rows of two splits."""
    owner: dict[str, ManifestRow] = {}
    for row in rows:
        for path in filter(None, (row.path, row.pair)):
            other = owner.setdefault(str(path), row)
            if splits[other.name] != splits[row.name]:
                raise InputError(
                    f"Lines {other.line} and {row.line} ({other.name}, {row.name}) share a file, in "
                    f"{splits[other.name]} and in {splits[row.name]}: give them the same patient and split."
                )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
