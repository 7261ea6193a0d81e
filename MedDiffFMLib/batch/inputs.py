"""The contents of a folder of CTs: the inputs of a batch by name, and what looks like one but is left out, with the
reason.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..volumes.dicom.files import files_below, is_dicom, read_header
from ..volumes.dicom.slices import frames, is_ct

READABLE = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
_PACKED = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".bz2", ".xz", ".gz")
_OTHER_FORMATS = (".img", ".hdr", ".mgz", ".mgh", ".mnc", ".nhdr", ".vtk", ".vti", ".gipl", ".npy", ".npz", ".mrb")


@dataclass
class Contents:
    """The contents of a folder: inputs by name, each with all files of that name (`a.nii.gz` and `a.mha`); what is left
    out, by name, with the reason; and the DICOM slices that lie loose in it.
    """

    inputs: dict[str, list[Path]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    loose: list[Path] = field(default_factory=list)


def find_inputs(folder: Path) -> dict[str, list[Path]]:
    """The inputs of `look_through`."""
    return look_through(folder).inputs


def look_through(folder: Path, skip: Collection[Path] = (), labels: bool = False) -> Contents:
    """The contents of a folder: files that can be read, and subfolders with DICOM slices in them, however deep. Hidden
    files and folders count as nothing. InputError if there are no inputs.

    skip: absolute paths of what is there for something else, such as the results; labels: label maps are looked for,
    which may be folders with a file for each organ.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder that holds the CTs.")
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): check its permissions.") from None
    found, above = Contents(), (folder.resolve(), *folder.resolve().parents)
    for path in paths:
        if path.absolute() in skip or path.resolve() in above:  # links may lead back
            continue
        if path.is_dir():
            _look_into(path, found, labels)
        else:
            _look_at(path, found)
    if found.loose:
        _tell_loose(folder, found)
    if not found.inputs:
        left_out = "".join(f" ({name}: {reason})" for name, reason in list(found.left_out.items())[:1])
        raise InputError(
            f"{folder} holds no volumes: put files ({', '.join(READABLE)}) or folders of DICOM slices there{left_out}."
        )
    return found


def suffix_of(path: Path) -> str:
    """Which of the endings `READABLE` a name has; empty for none."""
    return next((suffix for suffix in READABLE if path.name.lower().endswith(suffix)), "")


def _look_into(folder: Path, found: Contents, labels: bool) -> None:
    try:
        below = files_below(folder)
    except InputError:  # reading it will say why
        found.inputs.setdefault(folder.name, []).append(folder)
        return
    count = sum(suffix_of(file) != "" for file in below)
    if any(is_dicom(file) for file in below) or (labels and count):
        found.inputs.setdefault(folder.name, []).append(folder)
    elif count:
        found.left_out[folder.name] = (
            f"a folder with {count} volume{'s' * (count > 1)} and no DICOM: move its files one folder up, or give it "
            "as INPUT_DIR"
        )
    elif any(file.name.lower().endswith(_PACKED) for file in below):
        found.left_out[folder.name] = "a folder with packed files and no DICOM: unpack them"


def _look_at(path: Path, found: Contents) -> None:
    name = path.name.lower()
    if suffix := suffix_of(path):
        found.inputs.setdefault(path.name[: -len(suffix)], []).append(path)
    elif name.endswith(_PACKED):
        found.left_out[path.name] = "packed: unpack it"
    elif name.endswith(_OTHER_FORMATS):
        found.left_out[path.name] = f"not a format that can be read: convert it to one of {', '.join(READABLE)}"
    elif is_dicom(path):
        if _is_multi_frame(path):
            found.inputs.setdefault(path.stem, []).append(path)
        elif path.name.upper() != "DICOMDIR":
            found.loose.append(path)


def _is_multi_frame(path: Path) -> bool:
    try:
        header = read_header(path)
    except InputError:
        return False
    return header is not None and is_ct(header) and frames(header) > 1


def _tell_loose(folder: Path, found: Contents) -> None:
    if not found.inputs:
        raise InputError(f"{folder} is itself one DICOM series: give the folder that holds such folders.")
    others = len(found.loose) - 1
    name = found.loose[0].name + (f" and {others} more" if others else "")
    found.left_out[name] = "DICOM files that lie loose: put each series in a folder of its own"
