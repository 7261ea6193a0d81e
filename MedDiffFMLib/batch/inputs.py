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
from ..volumes.reading import READABLE

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
    """The inputs of a folder by name, as `scan_folder` finds them."""
    return scan_folder(folder).inputs


def scan_folder(folder: Path, skip: Collection[Path] = (), labels: bool = False) -> Contents:
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
    contents, above = Contents(), (folder.resolve(), *folder.resolve().parents)
    for path in paths:
        if path.absolute() in skip or path.resolve() in above:  # links may lead back
            continue
        if path.is_dir():
            _add_subfolder(path, contents, labels)
        else:
            _add_file(path, contents)
    if contents.loose:
        _leave_out_loose_slices(folder, contents)
    if not contents.inputs:
        left_out = "".join(f" ({name}: {reason})" for name, reason in list(contents.left_out.items())[:1])
        raise InputError(
            f"{folder} holds no volumes: put files ({', '.join(READABLE)}) or folders of DICOM slices there{left_out}."
        )
    return contents


def suffix_of(path: Path) -> str:
    """The ending of a file's name, if it is one of `READABLE`; else empty."""
    return next((suffix for suffix in READABLE if path.name.lower().endswith(suffix)), "")


def _add_subfolder(folder: Path, contents: Contents, labels: bool) -> None:
    """Add a subfolder to the contents: as an input if it holds DICOM or, where labels are asked for, volumes."""
    try:
        below = files_below(folder)
    except InputError:  # reading it will say why
        contents.inputs.setdefault(folder.name, []).append(folder)
        return
    count = sum(suffix_of(file) != "" for file in below)
    if any(is_dicom(file) for file in below) or (labels and count):
        contents.inputs.setdefault(folder.name, []).append(folder)
    elif count:
        contents.left_out[folder.name] = (
            f"a folder with {count} volume{'s' * (count > 1)} and no DICOM: move its files one folder up, or give it "
            "as INPUT_DIR"
        )
    elif any(file.name.lower().endswith(_PACKED) for file in below):
        contents.left_out[folder.name] = "a folder with packed files and no DICOM: unpack them"


def _add_file(path: Path, contents: Contents) -> None:
    """Add a file to the contents: as an input, as a loose slice, or with the reason why it is left out."""
    name = path.name.lower()
    if suffix := suffix_of(path):
        contents.inputs.setdefault(path.name[: -len(suffix)], []).append(path)
    elif name.endswith(_PACKED):
        contents.left_out[path.name] = "packed: unpack it"
    elif name.endswith(_OTHER_FORMATS):
        contents.left_out[path.name] = f"not a format that can be read: convert it to one of {', '.join(READABLE)}"
    elif is_dicom(path):
        if _is_multi_frame(path):
            contents.inputs.setdefault(path.stem, []).append(path)
        elif path.name.upper() != "DICOMDIR":
            contents.loose.append(path)


def _is_multi_frame(path: Path) -> bool:
    """Whether a DICOM file holds a CT of several frames."""
    try:
        header = read_header(path)
    except InputError:
        return False
    return header is not None and is_ct(header) and frames(header) > 1


def _leave_out_loose_slices(folder: Path, contents: Contents) -> None:
    """Leave the loose slices out, with the reason. InputError if the folder holds nothing else."""
    if not contents.inputs:
        raise InputError(f"{folder} is itself one DICOM series: give the folder that holds such folders.")
    others = len(contents.loose) - 1
    name = contents.loose[0].name + (f" and {others} more" if others else "")
    contents.left_out[name] = "DICOM files that lie loose: put each series in a folder of its own"
