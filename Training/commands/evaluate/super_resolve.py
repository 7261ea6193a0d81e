"""`meddiff-fm evaluate super-resolve`: thin slices made of thick ones beside the real thin ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import SharedOptions, with_option_groups
from ..options import QUALITIES, BoxOption, Qualities, chosen, require_packages


@with_option_groups
def evaluate_super_resolve(
    shared: SharedOptions,
    box: BoxOption = None,
    factor: Annotated[int, typer.Option("--factor", min=2, max=20, help="Thin slices averaged into one.")] = 5,
    ends: Annotated[int, typer.Option("--ends", min=0, help="Thin slices left out at each end.")] = 5,
    qualities: Qualities = "fast,balanced",
    thick: Annotated[Path | None, typer.Option("--thick", metavar="FILE", help="A scan in thick slices …")] = None,
    thin: Annotated[Path | None, typer.Option("--thin", metavar="FILE", help="… and the same in thin ones.")] = None,
    region: Annotated[str, typer.Option("--region", help="Region of --thick and --thin.")] = "chest",
) -> None:
    """Average thin slices and make thin ones of them again, beside interpolation; PSNR, SSIM and block means.

    With --data a test and a validation chest, without it the repository's. A real pair: --thick FILE --thin FILE.
    """
    require_packages("skimage", "matplotlib")
    from ...evaluate.cases.box import read_box
    from ...evaluate.cases.volumes import PROTOCOL

    chosen_qualities, chosen_box = chosen(qualities, QUALITIES, "quality"), read_box(box)
    if (thick is None) != (thin is None):
        raise InputError("--thick and --thin are two reconstructions of one scan: give both files, or neither.")
    if region not in PROTOCOL:
        raise InputError(f"There is no region {region!r}: use {', '.join(PROTOCOL)}.")

    from ...evaluate.cases.slice_pairs import find_pairs, read_pair
    from ...evaluate.tasks.super_resolve import evaluate_super_resolution

    pairs = [read_pair(thick, thin, region)] if thick else find_pairs(shared.data, shared.cases, factor, chosen_box)
    model = shared.load_model() if chosen_qualities else None
    report = evaluate_super_resolution(pairs, chosen_qualities, model, shared.seed, ends)
    shared.emit(report, model, box=box)
