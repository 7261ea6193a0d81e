"""DICOM files on the disk: which files are DICOM, their headers, and the numbers in them as scanners write them.

Everything here works with pydicom 2.4 (which 3D Slicer 5.10 has) as well as with pydicom 3.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.config import disable_value_validation

from ...errors import InputError

CT, ENHANCED_CT, LEGACY_CT = (f"1.2.840.10008.5.1.4.1.1.2{end}" for end in ("", ".1", ".2"))
_SUFFIXES = (".dcm", ".ima", ".dicom")  # of files that would be DICOM if they were not damaged
_MOST_FILES = 50_000  # more are a disk, not a scan
_MAGIC = b"DICM"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ERRORS = (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError, IndexError)


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """A context without the warnings and logs of pydicom and highdicom about values that break the standard: they quote
    them. Within another one it costs nothing: a change of a log's level slows down all logs.
    """
    logs = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [log.level for log in logs]
    if min(levels) > logging.CRITICAL:
        yield
        return
    try:
        for log in logs:
            log.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def files_in(folder: Path) -> list[Path]:
    """The files that lie directly in a folder, sorted; none whose name begins with a dot (macOS writes `._NAME`)."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}); check its permissions.") from None


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and its subfolders, sorted; hidden ones and `__MACOSX` left out, links followed once."""
    files: list[Path] = []
    seen = set()

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); check its permissions.") from None

    for at, folders, _ in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(at)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        files += files_in(Path(at))
        if len(files) > _MOST_FILES:
            raise InputError(f"{folder} holds more than {_MOST_FILES} files; give the folder of one CT series.")
    return files


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, with or without the preamble."""
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        return False
    if start[128:] == _MAGIC:
        return True
    little, big = start[:2] in (b"\x08\x00", b"\x02\x00"), start[:2] == b"\x00\x08"
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    length = int.from_bytes(start[4:8], "little")
    return len(start) == 132 and ((little and (explicit or length < 4096)) or (big and explicit))


def read_header(path: Path) -> Dataset | None:
    """A DICOM file's header without its pixels; None for other files. InputError for a damaged CT slice."""
    if not is_dicom(path):
        if _was_dicom(path):
            raise damaged(path)
        return None
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            classes = (header.get("SOPClassUID"), header.file_meta.get("MediaStorageSOPClassUID"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions.") from None
    except _ERRORS:
        raise damaged(path) from None
    if not any(classes) and "Modality" not in header:
        if _has_preamble(path):
            raise damaged(path)
        return None
    if {CT, ENHANCED_CT, LEGACY_CT} & set(classes) and not ("Rows" in header and "Columns" in header):
        raise damaged(path)
    return header


def read_whole(path: Path) -> Dataset:
    """A DICOM file with its pixels. InputError if it is damaged."""
    try:
        with quiet_pydicom():
            return pydicom.dcmread(path, force=True)
    except _ERRORS:
        raise damaged(path) from None


def damaged(path: Path) -> InputError:
    """The error of a damaged file."""
    return InputError(f"{path} is a damaged DICOM file; export the series again or remove the file.")


def _has_preamble(path: Path) -> bool:
    """Whether a file has the preamble of DICOM."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == _MAGIC


def _was_dicom(path: Path) -> bool:
    """Whether a file that is no DICOM seems to be the rest of one: by its name, or because nothing but zeros is left
    of it.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions.") from None
    return path.suffix.lower() in _SUFFIXES or (len(start) > 0 and not any(start))


def numbers(ds: Dataset, keyword: str, count: int, path: Path) -> tuple[float, ...]:
    """The numbers of an attribute, `count` of them. InputError, naming the file, if it is missing or anything else."""
    try:
        raw = ds.get_item(keyword)
    except KeyError:
        raw = None
    value = None if raw is None else raw.value
    if value is None or len(str(value).strip()) == 0 or value == b"":
        raise InputError(f"{path} states no {keyword}; export the series again with it.")
    if isinstance(value, bytes) and raw.VR in ("FL", "FD", "SS", "US", "SL", "UL"):
        value = ds[keyword].value
    if isinstance(value, bytes):
        value = value.decode("latin-1").strip("\0 ").split("\\")
    elif isinstance(value, (str, int, float)):
        value = [value]
    texts = [str(part).strip("\0 \t\r\n") for part in value]
    if len(texts) != count or not all(_NUMBER.fullmatch(text) for text in texts):
        shown = "\\".join(texts)[:60]
        expected = "a number" if count == 1 else f"{count} numbers"
        raise InputError(f"{path} gives {keyword} as {shown!r}, not {expected}; correct it or export the series again.")
    return tuple(map(float, texts))


def text(ds: Dataset, keyword: str) -> str:
    """An attribute as one line, empty if it is missing or cannot be read."""
    try:
        with quiet_pydicom():
            value = ds.get(keyword)
    except _ERRORS:
        return ""
    return " ".join(str("" if value is None else value).split())


def words(ds: Dataset, keyword: str) -> list[str]:
    """An attribute of several values as text in upper case."""
    try:
        with quiet_pydicom():
            value = ds.get(keyword) or []
    except _ERRORS:
        return []
    return [str(part).strip().upper() for part in ([value] if isinstance(value, str) else value)]


def integer(ds: Dataset, keyword: str, default: int) -> int:
    """An attribute as a whole number; `default` if it is missing or anything else."""
    try:
        with quiet_pydicom():
            return int(ds.get(keyword))
    except _ERRORS:
        return default


def save(ds: Dataset, path: Path) -> None:
    """Write a dataset with its file meta information, explicit VR, little endian."""
    if int(pydicom.__version__.split(".")[0]) >= 3:
        ds.save_as(path, enforce_file_format=True)
        return
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.save_as(path, write_like_original=False)
