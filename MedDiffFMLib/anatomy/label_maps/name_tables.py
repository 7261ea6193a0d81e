"""{number: name} from the forms in which programs write the names of labels: JSON of many shapes, tables of text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable

_VALUE_KEYS = ("value", "labelvalue", "labelid", "labelnumber", "index", "idx", "id", "number", "key", "label")
_NAME_KEYS = (
    "name",
    "segmentlabel",
    "labelname",
    "structure",
    "organ",
    "class",
    "classname",
    "segmentdescription",
    "text",
    "label",
)
_INSIDE = (
    "labels",
    "labelnames",
    "labeldict",
    "labelmap",
    "labelinfo",
    "names",
    "classes",
    "organs",
    "structures",
    "segments",
    "segmentattributes",
    "channeldef",
)
_BACKGROUND = ("background", "clear label", "unlabeled", "unlabelled", "exterior")
_SNAP = re.compile(r'\s*(\d+)(?:\s+[\d.]+){6}\s+"(.*)"\s*$')  # ITK-SNAP: number, R G B, alpha, visible, mesh, "name"
_COLORS = re.compile(r"\s*(\d+)\s+(.*?)(?:\s+[\d.]+){3,4}\s*$")  # 3D Slicer, FreeSurfer: number, name, R G B A
_PAIR = re.compile(r"\s*(\d+)\s*[:=\s]\s*(.*\S)\s*$")
_SWAPPED = re.compile(r"\s*(\S.*?)\s*[:=\s]\s*(\d+)\s*$")


class CountedNames(dict):
    """A dict {number: name} made from a list without numbers: they count from 1."""


def names_in_json(document: object, stems: list[str]) -> dict[int, str] | None:
    """The names in a document; {} if it is about other things (provenance, other files), None if it is not understood.

    Understood are {"1": "liver"}, {"liver": 1}, {"whole": [1, 2]} (a number in several goes by the one with fewest),
    lists of {"value": 1, "name": "liver"} or of names, and each of these within `labels`, `segments` and the like, or
    under the name of the file (`stems`).
    """
    if isinstance(document, dict) and {"task", "format", "notice"} & set(document) >= {"task", "format"}:
        return {}  # the provenance of a result of ours
    names = _direct(document)
    if names is not None or not isinstance(document, dict):
        return names
    inside = {_plain(key): value for key, value in document.items()}
    for value in (document.get(stem) for stem in stems):
        if value is not None and (names := names_in_json(value, [])):
            return names
    for value in (inside.get(key) for key in _INSIDE):
        if value is not None and (names := names_in_json(value, stems)):
            return names
    tables = [one for one in document.values() if isinstance(one, dict) and _direct(one)]
    return {} if tables and len(tables) == len(document) else None


def _direct(document: object) -> dict[int, str] | None:
    if isinstance(document, dict) and document:
        if all(_number(key) is not None for key in document):
            names = {_number(key): _name_of(value) for key, value in document.items()}
            return names if all(names.values()) else None
        numbers = {str(name): _numbers_of(value) for name, value in document.items()}
        return _by_smallest(numbers) if all(numbers.values()) else None
    if isinstance(document, list) and document:
        flat = [one for part in document for one in (part if isinstance(part, list) else [part])]
        if all(isinstance(one, str) for one in flat):
            with_background = flat[0].strip().lower() in _BACKGROUND
            return dict(enumerate(flat)) if with_background else CountedNames(enumerate(flat, 1))
        if all(isinstance(one, dict) for one in flat):
            return _checked((_number_in(one), _name_of(one)) for one in flat)
    return None


def _number(value: object) -> int | None:
    """A label's number as it may be written: 1, 1.0, "1"."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return int(float(value)) if re.fullmatch(r"\s*\d{1,9}(\.0*)?\s*", value) else None
    return int(value) if 0 <= value < 1e9 and value == int(value) else None


def _numbers_of(value: object) -> tuple[int, ...]:
    """The label numbers in a JSON value: a number, a list of them, or an object with one; empty for anything else."""
    several = value if isinstance(value, list) else [_number_in(value) if isinstance(value, dict) else value]
    numbers = tuple(_number(one) for one in several)
    return () if None in numbers else numbers


def _by_smallest(regions: dict[str, tuple[int, ...]]) -> dict[int, str] | None:
    """{number: name} from regions of several numbers: a number goes to the smallest region that holds it.

    None if two names claim one number alone.
    """
    alone = [numbers for numbers in regions.values() if len(numbers) == 1]
    if len(set(alone)) < len(alone):
        return None
    names = {}
    for name, numbers in sorted(regions.items(), key=lambda region: len(region[1])):
        for number in numbers:
            names.setdefault(number, name)
    return names


def _plain(key: object) -> str:
    return re.sub(r"[^a-z]", "", str(key).lower())


def _number_in(entry: dict) -> int | None:
    plain = {_plain(key): value for key, value in entry.items()}
    return next((n for key in _VALUE_KEYS if (n := _number(plain.get(key))) is not None), None)


def _name_of(value: object) -> str:
    """The name in a JSON value: text, or an object with a name or, failing that, with the meaning of a code (dcmqi)."""
    if isinstance(value, str):
        return value.strip() if _number(value) is None else ""
    if not isinstance(value, dict):
        return ""
    plain = {_plain(key): one for key, one in value.items()}
    written = (plain.get(key) for key in _NAME_KEYS)
    name = next((one.strip() for one in written if isinstance(one, str) and _number(one) is None and one.strip()), "")
    code, side = plain.get("segmentedpropertytypecodesequence"), plain.get("segmentedpropertytypemodifiercodesequence")
    meanings = [str(one["CodeMeaning"]) for one in (side, code) if isinstance(one, dict) and "CodeMeaning" in one]
    return name or " ".join(meanings)


def names_in_table(text: str) -> dict[int, str] | None:
    """The names in lines of text: a color table of 3D Slicer, label descriptions of ITK-SNAP, CSV or TSV with or
    without a header, `1: liver`, `liver = 1`. None if a line is none of these.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "//"))]
    if not lines:
        return None
    delimiter = next((one for one in ("\t", ",", ";") if one in lines[0]), "")
    if delimiter and (names := _names_in_columns(list(csv.reader(lines, delimiter=delimiter)))):
        return names
    for pattern, order in ((_SNAP, (1, 2)), (_COLORS, (1, 2)), (_PAIR, (1, 2)), (_SWAPPED, (2, 1))):
        if all(matches := [pattern.match(line) for line in lines]):
            return _checked((match.group(order[0]), match.group(order[1])) for match in matches)
    return None


def _names_in_columns(rows: list[list[str]]) -> dict[int, str] | None:
    """{number: name} from rows of cells: by the header's words, else by which column holds numbers."""
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if any(len(row) < 2 for row in rows):
        return None
    if _number(rows[0][0]) is None and _number(rows[0][1]) is None:
        header, rows = [_plain(cell) for cell in rows[0]], rows[1:]
        if not rows:
            return None
        values = [i for key in _VALUE_KEYS for i, cell in enumerate(header) if cell == key and _are_numbers(rows, i)]
        names = [i for key in _NAME_KEYS for i, cell in enumerate(header) if cell == key and not _are_numbers(rows, i)]
        columns = (values[0], names[0]) if values and names else None
    else:
        columns = (0, 1) if _are_numbers(rows, 0) else (1, 0) if _are_numbers(rows, 1) else None
    return _checked((row[columns[0]], row[columns[1]]) for row in rows) if columns else None


def _are_numbers(rows: list[list[str]], column: int) -> bool:
    return all(len(row) > column and _number(row[column]) is not None for row in rows)


def _checked(pairs: Iterable[tuple[object, str]]) -> dict[int, str] | None:
    """The dict {number: name} of pairs; None if a pair lacks a number or a name, or if a number has two names."""
    names: dict[int, str] = {}
    for written, name in pairs:
        number, name = _number(written), name.strip().strip('"')
        if number is None or not name or _number(name) is not None or names.setdefault(number, name) != name:
            return None
    return names
