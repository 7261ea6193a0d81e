"""Pictures of 256 colors, small enough for a repository, whose grays stay gray."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def with_few_colors(path: Path) -> None:
    """Replace a PNG file by the same picture of 256 colors. By the number of pixels of each (median cut): by the range
    of colors, a colorful 3D view would take them all and leave the grays of the panel purple and olive.
    """
    picture = Image.open(path).convert("RGB")
    picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
