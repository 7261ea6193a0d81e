"""The names of labels in a file beside a label map, in the forms that nnU-Net, MONAI, 3D Slicer and ITK-SNAP write."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from pathlib import Path

from .name_tables import names_in_json, names_in_table

_TABLES = (".ctbl", ".csv", ".tsv", ".txt", ".label")
_OF_THE_FOLDER = ("labels", "dataset", "label_dict", "label_names")
_FOLDERS_OF_A_DATASET = ("labels", "gt_segmentations")  # of nnU-Net: its dataset.json lies one folder above
_LARGEST = 1 << 22  # bytes: no table of names is as large as 4 MB
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class SidecarNames:
    """The label names found beside a label map: {number: name} from `file`; empty if there is none.

    of_map: `file` is named after the map, and does not describe a whole folder. unclear: files whose names could not be
    understood.
    """

    names: dict[int, str]
    file: Path | None = None
    of_map: bool = False
    unclear: tuple[Path, ...] = ()


def names_beside(path: Path) -> SidecarNames:
    """The names of a label map's numbers from the first file beside it that holds some.

    First come files named after the map (NAME.json, NAME.ctbl, NAME_ColorTable.ctbl, NAME.csv, .tsv, .txt, .label),
    then those of its folder (labels, dataset, label_dict or label_names, .json or a table), then nnU-Net's
    dataset.json above a folder labelsTr. Upper and lower case do not matter.
    """
    stems = stems_of(path)
    unclear = []
    for file, of_map in _candidates(path, stems):
        names = _names_in(file, stems)
        if names:
            return SidecarNames(names, file, of_map)
        if names is None:
            unclear.append(file)
    return SidecarNames({}, unclear=tuple(unclear))


def stems_of(path: Path) -> list[str]:
    """The names under which a table may list a file: `case.v2.seg.nrrd` → case.v2.seg, case.v2, case."""
    name = path.name
    name = name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else Path(name).stem
    stems = [name, name.split(".")[0]]
    for end in (".seg", "_seg", "-label", "_label", "_labels"):
        if name.lower().endswith(end):
            stems.insert(1, name[: -len(end)])
    return list(dict.fromkeys(stem for stem in stems if stem))


def _candidates(path: Path, stems: list[str]) -> list[tuple[Path, bool]]:
    """The files beside a label map that may hold names, and whether each is named after it, the likeliest first."""
    file_by_name = {file.name.lower(): file for file in _files(path.parent)}
    of_map = [f"{stem}{end}" for stem in stems for end in (".json", *_TABLES)]
    of_map += [f"{stem}_colortable{end}" for stem in stems for end in _TABLES]
    shared = [f"{stem}{end}" for stem in _OF_THE_FOLDER for end in (".json", *_TABLES)]
    candidates = {file_by_name[name.lower()]: True for name in of_map if name.lower() in file_by_name}
    candidates |= {
        file_by_name[name]: False for name in shared if name in file_by_name and file_by_name[name] not in candidates
    }
    if path.absolute().parent.name.lower().startswith(_FOLDERS_OF_A_DATASET):
        candidates |= {
            file: False for file in _files(path.absolute().parent.parent) if file.name.lower() == "dataset.json"
        }
    return [(file, of_it) for file, of_it in candidates.items() if file.name != path.name]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(
            file for file in folder.iterdir() if file.suffix.lower() in (".json", *_TABLES) and file.is_file()
        )
    except OSError:
        return []


def _names_in(file: Path, stems: list[str]) -> dict[int, str] | None:
    """The names in a file; {} if it is about other things than this map, None if it is not understood."""
    try:
        if file.stat().st_size > _LARGEST:
            return None
        text = text_of(file.read_bytes())
    except OSError:
        return None
    if file.suffix.lower() != ".json":
        return names_in_table(text)
    try:
        return names_in_json(json.loads(text), stems)
    except (ValueError, RecursionError):
        return None


def text_of(raw: bytes) -> str:
    """Bytes as text: by the byte order mark, else as UTF-16 if zeros suggest it, UTF-8, or Windows' cp1252."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding, "replace")
    if b"\0" in raw[:64]:
        return raw.decode("utf-16-be" if raw[:1] == b"\0" else "utf-16-le", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
