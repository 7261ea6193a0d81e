"""`meddiff-fm train manifest`: the manifest of a folder laid out as the project's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def manifest(
    data: Annotated[Path, typer.Argument(help="Folder of CT volumes with its index.json and labels.json.")],
    file: Annotated[Path, typer.Argument(help="Manifest (CSV) to write.")],
) -> None:
    """Write the manifest of a folder laid out as the project's own data."""
    from MedDiffFMLib.volumes.io import check_folder

    from ...data.manifest import write_manifest
    from ...data.project_data import manifest_lines

    lines = manifest_lines(data)
    write_manifest(check_folder(file, overwrite=True), lines)
    print(f"{file}: {len(lines)} CTs")
