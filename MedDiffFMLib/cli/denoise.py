"""`meddiff-fm denoise`: one file in, one file and its provenance out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..parameters import CommonParameters, DenoiseParameters
from .options import ShellOptions


def denoise(
    input: Annotated[
        Path, typer.Argument(metavar="INPUT", help="CT volume: a file (NIfTI, NRRD, MHA) or a folder of DICOM slices.")
    ],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="File to write, for example OUT.nii.gz; OUT.json beside it tells how."),
    ],
    *,
    parameters: DenoiseParameters,
    common: CommonParameters,
    shell: ShellOptions,
) -> None:
    """Remove noise from a CT and keep its anatomy. Same grid, HU in, HU out."""
    from ..provenance import check_result_path, describe_run, write_result
    from ..volume_checks import check_ct
    from ..volume_io import read_volume

    check_result_path(output, common.overwrite)
    started = time.monotonic()
    volume = read_volume(input)
    check_ct(volume)
    anatomy = _anatomy(parameters.anatomy, volume)

    from ..models import load_model
    from ..tasks.denoise import denoise as run
    from .bar import progress_bar

    model = load_model(common.model, device=common.device, precision=common.precision)
    with progress_bar("Denoise", shell.quiet) as progress:
        result = run(volume, model=model, progress=progress, **parameters.to_dict() | {"anatomy": anatomy})
    record = describe_run("denoise", parameters, common, model, volume)
    noise = {name: getattr(result, name) for name in ("sigma_hu", "noise_before_hu", "noise_after_hu")}
    record["facts"] = {**noise, **result.facts}
    record["seconds"] = round(time.monotonic() - started, 1)
    write_result(result.volume, output, record, common.overwrite)
    if not shell.quiet:
        noise = f"{_hu(result.noise_before_hu)} → {_hu(result.noise_after_hu)}"
        print(f"Noise {noise} (σ {_hu(result.sigma_hu)}, {result.facts['region']}); wrote {output}")


def _hu(value: float | None) -> str:
    return "not measurable" if value is None else f"{value:.1f} HU"


def _anatomy(choice: str, volume):
    """The task's `anatomy`: a label map if a file was named, else the word."""
    from ..volume_io import read_labels

    return choice if choice in ("auto", "none") else read_labels(Path(choice), like=volume)
