"""`meddiff-fm place-lesion`: a lesion mask at a random place in an organ, for inpaint-lesion and generate-lesion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def place_lesion(
    anatomy: Annotated[
        Path,
        typer.Argument(metavar="ANATOMY", help="Label map of organs, or a folder with a file for each."),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_MASK", help="Mask to write, for example MASK.nii.gz.")],
    organ: Annotated[
        str,
        typer.Option(
            "--organ", metavar="NAME|NUMBER", help="Organ: its name, as liver or lungs, or its TotalSegmentator number."
        ),
    ],
    diameter: Annotated[float, typer.Option("--diameter", metavar="MM", min=1, max=150, help="Longest axis in mm.")],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same place and shape.")
    ] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:
    """Place an ellipsoidal lesion mask wholly inside an organ, at random."""
    from ..anatomy import lesion_masks as lesions
    from ..anatomy.classes import label_numbers
    from ..anatomy.label_maps.reading import read_anatomy
    from ..volumes.io import check_output, write_volume

    check_output(output, overwrite)
    labels = (int(organ),) if organ.isdecimal() else label_numbers(organ)
    mask = lesions.place_lesion(read_anatomy(anatomy), labels, diameter, seed)
    write_volume(mask, output, overwrite)
    milliliters = lesions.volume_ml(mask.voxels, mask.spacing)
    print(f"A lesion of {diameter:g} mm and {milliliters:.2f} ml in {organ}; wrote {output}")
