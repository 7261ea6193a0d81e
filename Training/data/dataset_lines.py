"""The manifest lines of a data set's folder, by its description in `datasets`."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.dicom.files import files_below

from .datasets import DATA_SETS, DataSet, Images
from .split import TEST, TRAIN, VALIDATION

VALIDATED = 0.1  # of the patients of a lesion data set that are not for testing


@dataclass(frozen=True)
class _Ct:
    """A CT of a data set: its path from the folder that holds the data set's, with `/`, and what its name says."""

    text: str
    images: Images
    groups: dict[str, str]

    @property
    def case(self) -> str:
        return self.images.case.format(**self.groups)

    @property
    def patient(self) -> str:
        return self.images.patient.format(**self.groups) or self.case


class _Listing:
    """The files of a data set's folder and the folders that hold them, by paths that begin with the folder's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = [f"{folder.name}/{path.relative_to(folder).as_posix()}" for path in files_below(folder)]
        self.folders = sorted({str(PurePosixPath(text).parent) for text in self.files})
        self._by_name = defaultdict(list)
        for text in (*self.files, *self.folders):
            self._by_name[text.rpartition("/")[2]].append(text)

    def path(self, text: str) -> Path:
        return self.folder.parent / text

    def with_end(self, end: str) -> list[str]:
        """The files and folders whose paths end so, at a folder's name."""
        return [text for text in self._by_name[end.rpartition("/")[2]] if f"/{text}".endswith(f"/{end}")]


def dataset_lines(name: str, folder: Path, seed: int = 0) -> list[dict[str, str]]:
    """The manifest lines of the folder of a data set, with absolute paths, in the order of their names.

    seed: of what is drawn, the CTs of `drawn` and the patients of `tested`. InputError for a name that is not known, a
    folder of another layout, a case that is there twice, and a mask or second CT that is missing.
    """
    data_set = _find(name)
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the one that {name} was unpacked to.")
    listing = _Listing(folder)
    cts = _first_of_scans(_without_left_out(data_set, listing, _cts(data_set, listing)))
    if data_set.drawn:
        chosen = _draw((ct.case for ct in cts), data_set.drawn, seed)
        cts = [ct for ct in cts if ct.case in chosen]
    patients = {ct.patient for ct in cts}
    splits = _splits(data_set, patients, seed)
    lesions, pairs = (_partners(data_set, listing, cts, kind) for kind in ("lesion", "pair"))
    lines = []
    for ct in cts:
        line = _line(data_set, ct, str(listing.path(ct.text)), splits.get(ct.patient, ct.images.split))
        lines.append(line | lesions.get(ct.case, {}) | pairs.get(ct.case, {}))
    return lines


def _find(name: str) -> DataSet:
    if name == "bmad":
        raise InputError(
            "bmad has no manifest: it holds single slices, which `evaluate detect-anomalies --bmad DIR` reads."
        )
    if name not in DATA_SETS:
        raise InputError(f"There is no data set {name!r}: write one of {', '.join(DATA_SETS)}.")
    return DATA_SETS[name]


def _cts(data_set: DataSet, listing: _Listing) -> list[_Ct]:
    """The CTs of the listing, by case. InputError if there are none, or two of one case."""
    found = []
    for images in data_set.images:
        pattern = re.compile(f"(?:.*/)?{images.path}")
        matches = ((text, pattern.fullmatch(text)) for text in (listing.folders if images.folders else listing.files))
        found += [_Ct(text, images, match.groupdict()) for text, match in matches if match]
    if not found:
        raise InputError(_not_found(data_set, listing))
    found.sort(key=lambda ct: (ct.case, ct.text))
    for one, other in pairwise(found):
        if one.case == other.case:
            raise InputError(
                f"{listing.folder} holds two CTs of the case {one.case}, {one.text} and {other.text}: take one out."
            )
    return found


def _not_found(data_set: DataSet, listing: _Listing) -> str:
    """Why a folder cannot be used in which no CT was found."""
    sentence = f"{listing.folder} holds no CT of {data_set.name}"
    if data_set.other_form:
        pattern, reason = data_set.other_form
        if any(re.fullmatch(f"(?:.*/)?{pattern}", text) for text in listing.files):
            return f"{sentence} that can be used: {reason}."
    files = f"found were files such as {listing.files[0]}" if listing.files else "no files were found"
    return f"{sentence}: {data_set.layout} was expected, {files}. Name the folder as its owners publish it."


def _without_left_out(data_set: DataSet, listing: _Listing, cts: list[_Ct]) -> list[_Ct]:
    """The CTs without those that the data set's own list names. InputError without the list, or if none is left."""
    if not data_set.left_out:
        return cts
    lists = listing.with_end(data_set.left_out)
    if not lists:
        raise InputError(
            f"{listing.folder} has no {data_set.left_out}, the list of CTs that show no {data_set.region}: download it "
            "with the data set's metadata and put it there."
        )
    text = listing.path(lists[0]).read_text(encoding="utf-8", errors="replace")
    names = {PurePosixPath(line.strip()).name for line in text.splitlines()}
    kept = [ct for ct in cts if PurePosixPath(ct.text).name not in names]
    if not kept:
        raise InputError(f"{listing.folder} holds only CTs that {data_set.left_out} leaves out: download others.")
    return kept


def _first_of_scans(cts: list[_Ct]) -> list[_Ct]:
    """The CTs, of the reconstructions of a scan the first alone: shorter names, thus lower numbers, go before."""
    first: dict[str, str] = {}
    for ct in sorted(cts, key=lambda ct: (len(ct.text), ct.text)):
        first.setdefault(ct.images.scan.format(**ct.groups) or ct.case, ct.text)
    firsts = set(first.values())
    return [ct for ct in cts if ct.text in firsts]


def _draw(words: Iterable[str], count: int, seed: int) -> set[str]:
    """So many of the words, or all if they are fewer: those with the lowest hashes, whatever the order and system."""
    key = {word: hashlib.sha256(f"draw\n{seed}\n{word}".encode()).hexdigest() for word in words}
    return set(sorted(key, key=key.get)[:count])


def _splits(data_set: DataSet, patients: set[str], seed: int) -> dict[str, str]:
    """The split of each patient of a data set that is drawn from for testing, `VALIDATED` of those who are left being
    for validation; nothing of any other data set.
    """
    if not data_set.tested:
        return {}
    count = round(data_set.tested * len(patients))
    tested = _draw(patients, count, seed)
    kept = _draw(patients, count + round(VALIDATED * (len(patients) - count)), seed)
    return {one: TEST if one in tested else VALIDATION if one in kept else TRAIN for one in patients}


def _partners(data_set: DataSet, listing: _Listing, cts: Sequence[_Ct], kind: str) -> dict[str, dict[str, str]]:
    """The columns of the CTs' masks (kind `lesion`) or second CTs (`pair`), by case. InputError says which lack one."""
    columns, missing = {}, []
    for ct in cts:
        if not (template := getattr(ct.images, kind)):
            continue
        end = template.format(**ct.groups)
        found = listing.with_end(end)
        if len(found) > 1:
            raise InputError(f"{listing.folder} holds {found[0]} and {found[1]} for {ct.text}: take one out.")
        if not found:
            missing.append((ct.text, end))
            continue
        columns[ct.case] = {kind: str(listing.path(found[0]))}
        if kind == "lesion":
            columns[ct.case]["lesion_labels"] = data_set.lesion_labels
    if missing:
        text, end = missing[0]
        what = {"lesion": "mask", "pair": "second CT"}[kind]
        others = f", and {len(missing)} CTs lack theirs" if len(missing) > 1 else ""
        raise InputError(
            f"{listing.folder} has no {what} of {text}, {end} was expected{others}: unpack the whole data set, or take "
            "these CTs out."
        )
    return columns


def _line(data_set: DataSet, ct: _Ct, path: str, split: str) -> dict[str, str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{data_set.name}-{ct.case}")[:100]  # as long as a manifest allows
    return {
        "path": path,
        "patient": f"{data_set.name}-{ct.patient}",
        "region": data_set.region,
        "anatomy": "auto",
        "split": split,
        "name": name,
    }
