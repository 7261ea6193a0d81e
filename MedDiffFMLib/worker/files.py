"""The files of a worker's job: paths in a folder that both sides see, or contents within the lines."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError, UsageError
from ..jobs.provenance import provenance_path
from ..parameters import TASKS
from ..volumes.io import write_volume
from ..volumes.volume import Volume

PREVIEW_VOXELS = 96**3  # more than a slice view shows, few enough to pass quickly
PREVIEW = "preview.nrrd"


class JobFiles:
    """The files of a `run` request, as a context: `paths` by slot, `parameters` with paths for files within the line.

    What came within the line lies in a private folder for as long as the job runs. UsageError for unusable names
    and contents.
    """

    def __init__(self, request: dict):
        self._request = request
        self._inline = bool(request.get("inline", False))
        self._folder = Path(request["folder"]) if request.get("folder") else None
        self._preview: Path | None = None

    def __enter__(self) -> JobFiles:
        self._private = tempfile.TemporaryDirectory(prefix="meddiff-fm-", ignore_cleanup_errors=True)
        try:
            outputs = {slot.name for slot in TASKS[self._request["task"]].files if slot.output}
            files = self._request["files"].items()
            self.paths = {name: self._place(value, name, name in outputs) for name, value in files if value is not None}
            values = self._request.get("parameters", {}).items()
            self.parameters = {
                name: str(self._place(value, name, False)) if isinstance(value, dict) else value
                for name, value in values
            }
        except BaseException:
            self._private.cleanup()
            raise
        return self

    def __exit__(self, *error) -> None:
        self._private.cleanup()
        if self._preview:
            with contextlib.suppress(OSError):  # who reads it removes it
                self._preview.unlink(missing_ok=True)

    def _place(self, value: str | dict, name: str, output: bool) -> Path:
        """The path of a file of the request; contents within the line are written there first."""
        if isinstance(value, str) and not (output and self._inline):
            return self._folder / value if self._folder else Path(value)
        file_name = value.get("name") if isinstance(value, dict) else value
        if (
            not isinstance(file_name, str)
            or not re.fullmatch(r"[^/\\:\0]{1,100}", file_name)
            or file_name.startswith(".")
            or "." not in file_name
        ):
            raise UsageError(
                f"The file {name!r} has no usable name ({file_name!r}): give one like scan.nrrd, without a folder."
            )
        folder = Path(self._private.name) / ("results" if output else name)
        folder.mkdir(exist_ok=True)
        if not output:
            (folder / file_name).write_bytes(_contents(value, name))
        return folder / file_name

    def results(self, written: dict[str, list[Path]]) -> dict[str, list]:
        """The outputs by name, each a list: paths, or if they were asked for within the line, names and contents.
        Each has the key `provenance` too, if it has one.
        """
        return {name: [self._result(path) for path in slot_paths] for name, slot_paths in written.items()}

    def _result(self, path: Path) -> dict:
        """An output file as an event names it."""
        beside = provenance_path(path)
        beside = beside if path.suffix.lower() != ".csv" and beside.is_file() else None
        if not self._inline:
            return {"path": str(path), "provenance": str(beside) if beside else None}
        text = beside.read_text(encoding="utf-8") if beside else None
        return {"name": path.name, "data": _encoded(path), "provenance": text}

    def preview(self, estimate: Volume) -> dict | None:
        """A small uncompressed volume of the present estimate: `path`, or `name` and `data` within the line; None if it
        cannot be written, as on Windows while the one before is being read.
        """
        folder = None if self._inline else self._folder
        path = (folder or Path(self._private.name)) / PREVIEW
        try:
            write_volume(shrink(estimate), path, overwrite=True)
        except (InputError, OSError):
            return None
        if folder is None:
            return {"name": PREVIEW, "data": _encoded(path)}
        self._preview = path
        return {"path": str(path)}


def _contents(value: dict, name: str) -> bytes:
    """The bytes of a file within the line. UsageError, with the name of its slot, if they are no base64."""
    try:
        return base64.b64decode(value["data"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise UsageError(f"The file {name!r} holds no base64 under 'data': encode the file's bytes.") from None


def _encoded(path: Path) -> str:
    """The bytes of a file as base64."""
    return base64.b64encode(path.read_bytes()).decode("ascii")


def shrink(volume: Volume, limit: int = PREVIEW_VOXELS) -> Volume:
    """A volume of every n-th voxel along each axis, at most `limit` in all, as int16 HU; the first stays in place."""
    n = 1
    while np.prod([-(-size // n) for size in volume.voxels.shape]) > limit:
        n += 1
    voxels = np.ascontiguousarray(volume.voxels[::n, ::n, ::n])
    limits = np.iinfo(np.int16)
    whole = np.clip(np.rint(voxels), limits.min, limits.max).astype(np.int16)
    return replace(volume, voxels=whole, spacing=tuple(s * n for s in volume.spacing), grid_record=b"")
