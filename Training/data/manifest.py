"""The manifest of a data set: a CSV file with a line for every CT, and a header.

    path            NIfTI, NRRD, MHA or a DICOM folder, relative to the manifest
    patient         an id; volumes of one patient stay on one side of the split. It does not reach the store.
    region          head-neck, chest, abdomen, or auto: found, and whole-body scans split
    anatomy         a label map (forms: `MedDiffFMLib.anatomy.label_maps`), auto: by
                    TotalSegmentator, or none: thresholds alone
    lesion          a mask, or nothing
    lesion_labels   which values of the mask are lesion, as "2" or "1 3"; nothing: all but 0
    pair            a second CT of the patient, the input of a ControlNet: thick slices or low dose; or nothing
    coverage        a mask of 0 and 1: where the CT is given, if it is blank elsewhere; or nothing
    split           train, validation, test or held-out; nothing: by a hash of the patient
    placed          yes or no: whether the whole of the region is shown; nothing: found from where the body is cut
    name            of the case in the store; nothing: made of a hash

path, patient, region and anatomy must be there, the others may be left out.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.errors import InputError

NEEDED = ("path", "patient", "region", "anatomy")
FURTHER = ("lesion", "lesion_labels", "pair", "coverage", "split", "placed", "name")
AUTO, NONE = "auto", "none"
_WORDS = {
    "region": (*REGIONS, AUTO),
    "split": ("", "train", "validation", "test", "held-out"),
    "placed": ("", "yes", "no"),
}


@dataclass(frozen=True)
class ManifestRow:
    """A line of a manifest. anatomy: a path, or `auto` or `none`; lesion, pair, coverage: None without one."""

    line: int
    name: str
    path: Path
    patient: str
    region: str = AUTO
    anatomy: Path | str = NONE
    lesion: Path | None = None
    lesion_labels: tuple[int, ...] = ()
    pair: Path | None = None
    split: str = ""
    placed: bool | None = None
    coverage: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files and folders that the case is made of, by column."""
        columns = ("path", "anatomy", "lesion", "pair", "coverage")
        found = {column: getattr(self, column) for column in columns}
        return {column: path for column, path in found.items() if isinstance(path, Path)}


def read_manifest(path: Path, salt: str = "") -> list[ManifestRow]:
    """The rows of a manifest; `salt` goes into the names that are made. InputError if it is none; missing files are
    found when they are read.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not a file: name the manifest (CSV with the columns {', '.join(NEEDED)}).")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            rows = [_row(path, table.line_num, values, salt) for values in _checked(path, columns, table)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8 ({error}): export it again.") from None
    if not rows:
        raise InputError(f"{path} has no lines after its header: list the CTs there.")
    row_of_name: dict[str, ManifestRow] = {}
    for row in rows:
        if (other := row_of_name.setdefault(row.name.lower(), row)) is not row:
            raise InputError(
                f"{path}, line {row.line}: the name {row.name!r} is that of line {other.line} too; rename one."
            )
    return rows


def write_manifest(path: Path, lines: Iterable[dict[str, str]]) -> None:
    """Write a manifest of lines {column: text}."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, (*NEEDED, *FURTHER), restval="")
        table.writeheader()
        table.writerows(lines)


def _checked(path: Path, columns: list[str], table: csv.DictReader) -> Iterable[dict[str, str]]:
    """The table's lines, once its header is right; empty lines are skipped."""
    missing = [name for name in NEEDED if name not in columns]
    unknown = [name for name in columns if name not in (*NEEDED, *FURTHER)]
    if missing or unknown:
        wrong = f"lacks the column {missing[0]!r}" if missing else f"has a column {unknown[0]!r}"
        raise InputError(f"{path} {wrong}: its header may hold {', '.join((*NEEDED, *FURTHER))}.")
    for values in table:
        if None in values or None in values.values():
            raise InputError(f"{path}, line {table.line_num}: it has fewer or more values than the header has columns.")
        if any(values.values()):
            yield {name: text.strip() for name, text in values.items()}


def _row(manifest: Path, line: int, values: dict[str, str], salt: str) -> ManifestRow:
    where = f"{manifest}, line {line}"
    for column, words in _WORDS.items():
        if values.get(column, "") not in words:
            shown = ", ".join(word or "nothing" for word in words)
            raise InputError(f"{where}: {column} cannot be {values[column]!r}; write {shown}.")
    for column in NEEDED:
        if not values[column]:
            raise InputError(f"{where}: {column} is empty; fill it in.")
    if values.get("coverage") and (values.get("lesion") or values.get("pair")):
        raise InputError(f"{where}: a CT with coverage can have no lesion and no pair; leave one of them empty.")
    anatomy = values["anatomy"] if values["anatomy"] in (AUTO, NONE) else _path(manifest, values["anatomy"])
    placed = {"yes": True, "no": False}.get(values.get("placed", ""))
    return ManifestRow(
        line=line,
        name=_name(where, values, salt),
        path=_path(manifest, values["path"]),
        patient=values["patient"],
        region=values["region"],
        anatomy=anatomy,
        lesion=_path(manifest, values.get("lesion", "")),
        lesion_labels=_labels(where, values.get("lesion_labels", "")),
        pair=_path(manifest, values.get("pair", "")),
        split=values.get("split", ""),
        placed=placed,
        coverage=_path(manifest, values.get("coverage", "")),
    )


def _path(manifest: Path, text: str) -> Path | None:
    return (manifest.parent / text).absolute() if text else None


def _name(where: str, values: dict[str, str], salt: str) -> str:
    """The given name, or one that reveals neither path nor patient and stays when lines are added."""
    name = values.get("name", "")
    if not name:
        text = "\n".join(("name", salt, values["patient"], values["path"]))
        return "case-" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:10]
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise InputError(f"{where}: {name!r} cannot be the name of a folder; use letters, digits, '.', '_' and '-'.")
    return name


def _labels(where: str, text: str) -> tuple[int, ...]:
    if not all(word.isdecimal() and 0 < int(word) < 65536 for word in text.split()):
        raise InputError(f"{where}: lesion_labels cannot be {text!r}; write the mask's values, as 2 or 1 3.")
    return tuple(int(word) for word in text.split())
