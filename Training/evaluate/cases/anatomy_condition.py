"""The anatomy that a model is conditioned on in a case: `--anatomy WORD|FILE|DIR`, or what the line of a list names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.anatomy.segmenter import choose_mode, find_organs
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume

from .case_list import AUTO, ENDINGS

WORDS = ("auto", "threshold", "none")  # the body, tissues, nothing: as of the tasks
TOTALSEGMENTATOR = "totalsegmentator"


@dataclass(frozen=True)
class AnatomyCondition:
    """The choice of anatomy for all cases. choice: a word of the tasks, totalsegmentator, a label map, or a folder of
    them by the cases' names; None for what a list names, and without a list "auto". device: where TotalSegmentator
    computes.
    """

    choice: str | None = None
    device: torch.device | None = None

    def check(self, names: Sequence[str], listed: Sequence[Path | str | None] = ()) -> None:
        """InputError, before any work, if a case cannot have it. listed: the anatomy that the lines name."""
        by_line = self.choice is None and AUTO in listed
        if self.choice == TOTALSEGMENTATOR or by_line:
            choose_mode(self.device)
        if self.choice is None or self.choice in (*WORDS, TOTALSEGMENTATOR):
            return
        path = Path(self.choice)
        if not path.exists():
            words = ", ".join((*WORDS, TOTALSEGMENTATOR))
            raise InputError(f"--anatomy {self.choice} is not a file or folder, nor one of {words}: correct it.")
        if path.is_dir():
            for name in names:
                label_map_of(path, name)
        elif len(names) > 1:
            raise InputError(f"--anatomy {path} is one label map, of {len(names)} cases: name a folder of them.")

    def of(self, name: str, ct: Volume, listed: Path | str | None = None) -> Volume | str:
        """The anatomy of a case: a label map on the CT's grid, or a word of the tasks. listed: what the line names."""
        if self.choice is None:
            if isinstance(listed, Path):
                return read_anatomy(listed, like=ct)
            return find_organs(ct, self.device) if listed == AUTO else {"none": "threshold", None: "auto"}[listed]
        if self.choice in WORDS:
            return self.choice
        if self.choice == TOTALSEGMENTATOR:
            return find_organs(ct, self.device)
        path = Path(self.choice)
        return read_anatomy(label_map_of(path, name) if path.is_dir() else path, like=ct)


def label_map_of(folder: Path, name: str) -> Path:
    """The label map of a case in a folder: NAME or NAME_seg, a file or a folder of masks. InputError without one."""
    for stem in (name, f"{name}_seg"):
        for ending in (*ENDINGS, ""):
            if (path := folder / f"{stem}{ending}").exists():
                return path
    raise InputError(f"{folder} has no label map of {name}: call it {name}.nii.gz, or {name}_seg.nii.gz.")
