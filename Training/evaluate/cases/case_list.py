"""Lists of cases: CSV files with a line for every case, which name its files by columns.

    region   head-neck, chest or abdomen; where a task allows it, auto
    name     of the case in the report; nothing: that of its first file
    patient  an id; two lines of one patient in one region would count it twice and are refused, unless a task counts
             volumes and not patients
    split    train, validation, test or held-out: only lines of test are taken
    …        the task's own columns of files, relative to the list, and of words

A manifest of `train prepare` is such a list: its `path` is the CT, the full dose or the thin slices, its `pair` the low
dose or the thick slices. With the store that was prepared from it, the splits are those of the store's own record.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.errors import InputError

from ...data.manifest import read_manifest
from ...data.split import SPLITS, TEST

AUTO = "auto"
IN_MANIFEST = {"ct": "path", "full": "path", "thin": "path", "low": "pair", "thick": "pair"}
ANATOMY = "anatomy"  # a file, or auto (TotalSegmentator), or none (thresholds), as in a manifest
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class Columns:
    """The columns of a task's list: of files that every line names, of files that it may name, and of words.

    auto_region: whether a line may leave its region to be found. volumes: whether each CT of a patient counts.
    """

    files: tuple[str, ...]
    further: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    auto_region: bool = False
    volumes: bool = False


@dataclass(frozen=True)
class ListedCase:
    """A line of a list. files: by column, those that are named; words: what else the line says, by column."""

    name: str
    region: str
    files: Mapping[str, Path]
    words: Mapping[str, str] = field(default_factory=dict)
    patient: str = ""
    line: int = 0

    @property
    def anatomy(self) -> Path | str | None:
        """The label map that the line names, or its word (auto, none); None if the line has neither."""
        return self.files.get(ANATOMY) or self.words.get(ANATOMY)


def read_case_list(path: Path, columns: Columns, store: Path | None = None, salt: str = "") -> list[ListedCase]:
    """The cases of a list; if the list or `store` names splits, those of the split test. salt: that of `train prepare`.

    InputError, with the line, for a missing column, an unknown region, a file that does not exist, a case or a file
    that is there twice, and (unless `columns` are of volumes) a patient that is there twice in one region.
    """
    lines, header = _lines(Path(path))
    source = {column: _column(path, header, column) for column in columns.files}
    if "region" not in header:
        raise InputError(f"{path} has no column 'region': add it, with {', '.join(REGIONS)} in each line.")
    splits = _splits(path, lines, store, salt)
    chosen = {number: values for number, values in lines.items() if splits.get(number, TEST) == TEST}
    if not chosen:
        raise InputError(f"{path} has no line of the split test: list cases that no model was trained on.")
    cases = [_case(path, number, values, columns, source) for number, values in chosen.items()]
    _check_twice(path, cases, columns.volumes)
    return cases


def _lines(path: Path) -> tuple[dict[int, dict[str, str]], list[str]]:
    """{line: {column: text}} of a CSV file, and its header. Empty lines are left out."""
    if not path.is_file():
        raise InputError(f"{path} is not a file: name a list of cases (CSV with a header).")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in table.fieldnames or []]
            table.fieldnames = header
            lines = dict((table.line_num, values) for values in table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8 ({error}): export it again.") from None
    for number, values in lines.items():
        if None in values or None in values.values():
            raise InputError(f"{path}, line {number}: it has fewer or more cells than the header; correct its commas.")
    stripped = {n: {name: text.strip() for name, text in values.items()} for n, values in lines.items()}
    found = {n: values for n, values in stripped.items() if any(values.values())}
    if not found:
        raise InputError(f"{path} has no lines after its header: list the cases there.")
    return found, header


def _column(path: Path, header: Sequence[str], column: str) -> str:
    """The name of a column in this list: its own, or the manifest's. InputError if there is neither."""
    for name in (column, IN_MANIFEST.get(column, column)):
        if name in header:
            return name
    other = IN_MANIFEST.get(column)
    raise InputError(
        f"{path} has no column {column!r}{f' (in a manifest {other!r})' if other else ''}, only "
        f"{', '.join(header)}: add it."
    )


def _splits(path: Path, lines: Mapping[int, Mapping], store: Path | None, salt: str) -> dict[int, str]:
    """The split of each line, as the store has it, or as the list says; nothing of a list without splits."""
    if store is not None:
        return _splits_of_store(path, Path(store), salt)
    if not any(values.get("split") for values in lines.values()):
        return {}
    for number, values in lines.items():
        if values["split"] not in SPLITS:
            raise InputError(
                f"{path}, line {number}: the split cannot be {values['split']!r}; write {', '.join(SPLITS)} in every "
                "line, or give the store that was prepared from this manifest with --store."
            )
    return {number: values["split"] for number, values in lines.items()}


def _splits_of_store(path: Path, store: Path, salt: str) -> dict[int, str]:
    """The split of each line of the manifest that a store was prepared from; refused lines are of none."""
    record = store / "report.json"
    if not record.is_file():
        raise InputError(f"{store} has no report.json: name the store that `train prepare` made of {path}.")
    known = {row["name"]: row for row in json.loads(record.read_text(encoding="utf-8"))["rows"]}
    found = {}
    for row in read_manifest(path, salt):
        if row.name not in known:
            raise InputError(
                f"{path}, line {row.line}: {store} knows nothing of it; name the manifest that this store was prepared "
                "from, and its --salt if it had one."
            )
        of_store = known[row.name]
        found[row.line] = "refused" if of_store["status"] == "refused" else of_store["split"]
    return found


def _case(path: Path, number: int, values: dict[str, str], columns: Columns, source: dict[str, str]) -> ListedCase:
    where = f"{path}, line {number}"
    files = {column: _file(path, where, column, values[source[column]]) for column in columns.files}
    files |= {c: _file(path, where, c, values[c]) for c in columns.further if values.get(c) and not _word(c, values[c])}
    words = {c: values[c] for c in columns.words if values.get(c)}
    if _word(ANATOMY, values.get(ANATOMY, "")) and ANATOMY in columns.further:
        words[ANATOMY] = values[ANATOMY]
    region = values["region"]
    allowed = (*REGIONS, AUTO) if columns.auto_region else tuple(REGIONS)
    if region not in allowed:
        raise InputError(f"{where}: the region cannot be {region!r}; write {', '.join(allowed)}.")
    name = values.get("name") or _name_of(files[columns.files[0]])
    if "/" in name or "\\" in name or name.startswith("."):
        raise InputError(f"{where}: {name!r} cannot be a case's name, files are named after it; write a plain word.")
    return ListedCase(name, region, files, words, values.get("patient", ""), number)


def _word(column: str, text: str) -> bool:
    return column == ANATOMY and text in (AUTO, "none")


def _file(path: Path, where: str, column: str, text: str) -> Path:
    if not text:
        raise InputError(f"{where}: {column} is empty; name its file.")
    file = path.parent / text
    if not file.exists():
        raise InputError(f"{where}: {column} names {file}, which does not exist; correct it (paths start at the list).")
    return file


def _name_of(file: Path) -> str:
    ending = next((ending for ending in ENDINGS if file.name.endswith(ending)), "")
    return file.name.removesuffix(ending)


def _check_twice(path: Path, cases: Sequence[ListedCase], volumes: bool) -> None:
    """InputError if a case would count twice, or unless `volumes` count a patient."""
    names, owners, patients = {}, {}, {}
    for case in cases:
        other = names.setdefault(case.name, case)
        if other is not case:
            raise InputError(
                f"{path}, lines {other.line} and {case.line}: both cases are called {case.name!r}; give them names in "
                "a column 'name'."
            )
        file = next(iter(case.files.values())).resolve()
        other = owners.setdefault((file, case.words.get("lesion_labels")), case)
        if other is not case:
            raise InputError(f"{path}, lines {other.line} and {case.line}: both name {file.name}; leave one out.")
        other = patients.setdefault((case.patient, case.region), case)
        if case.patient and other is not case and not volumes:
            raise InputError(
                f"{path}, lines {other.line} and {case.line}: one patient is there twice in the region {case.region} "
                "and would count twice; leave one out."
            )
