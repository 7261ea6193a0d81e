"""Pictures of results: volumes in three orthogonal slices, as radiologists look at them, a map over them in color."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedDiffFMLib.volumes.volume import Volume

VIEWS = (("axial", 0, "A"), ("coronal", 1, "S"), ("sagittal", 2, "S"))  # axis of a (z, y, x) array that is cut; on top
INCHES = 3.2  # a panel's width


@dataclass(frozen=True)
class PictureRow:
    """One volume of a picture.

    hu_range: what is black and what is white. overlay: a map or mask on the same grid, in color where it is not 0;
    overlay_range: the values at the ends of the colors (negative ones blue, positive ones red), None for its largest.
    outline: a mask on the same grid, drawn as a line. center_ras: its own point, in place of the picture's.
    """

    volume: Volume
    title: str
    hu_range: tuple[float, float] = (-150.0, 250.0)
    overlay: Volume | None = None
    overlay_range: float | None = None
    outline: Volume | None = None
    center_ras: Sequence[float] | None = None


def slices_picture(rows: Sequence[PictureRow], path: Path, center_ras: Sequence[float] | None = None) -> None:
    """A PNG with one row a volume: its axial, coronal and sagittal slice through one point.

    center_ras: the point in mm, RAS, the same for all rows; None for the middle of the first volume. A row whose volume
    does not reach the point shows its nearest slice. The file appears whole or not at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    center = middle_of(rows[0].volume) if center_ras is None else np.asarray(center_ras, float)
    figure = Figure(figsize=(3 * INCHES, len(rows) * (INCHES + 0.35)), facecolor="black", layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for row, axes in zip(rows, grid, strict=True):
        for axis, (view, cut, top) in zip(axes, VIEWS, strict=True):
            _draw(axis, row, cut, center if row.center_ras is None else np.asarray(row.center_ras, float))
            _mark_sides(axis, view, top)
        low, high = row.hu_range
        axes[0].set_title(f"{row.title}  ({low:g} … {high:g} HU)", color="white", fontsize=9, loc="left")
    part = Path(path).with_name(f".{Path(path).stem}.part.png")
    try:
        FigureCanvasAgg(figure).print_png(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def middle_of(volume: Volume) -> np.ndarray:
    """The center of a volume in mm, RAS."""
    image = volume.to_sitk()
    middle = [(n - 1) / 2 for n in image.GetSize()]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(middle)) * (-1, -1, 1)


def orthogonal_slice(volume: Volume, cut: int, center_ras: np.ndarray) -> tuple[np.ndarray, float]:
    """The slice through a point across axis `cut` (0 axial, 1 coronal, 2 sagittal), and its pixels' height over width.

    As on a screen: the first row is anterior (axial) or superior, the first column the patient's right, or anterior in
    the sagittal view. Oblique volumes are cut along their own axes.
    """
    image = sitk.DICOMOrient(volume.to_sitk(), "LPS")
    voxels, spacing = sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]
    point = [float(c) for c in np.asarray(center_ras) * (-1, -1, 1)]
    index = np.rint(image.TransformPhysicalPointToContinuousIndex(point)[::-1]).astype(int)
    pixels = np.take(voxels, int(np.clip(index[cut], 0, voxels.shape[cut] - 1)), axis=cut)
    height, width = (s for axis, s in enumerate(spacing) if axis != cut)
    return (pixels if cut == 0 else pixels[::-1]), height / width


def _draw(axis, row: PictureRow, cut: int, center: np.ndarray) -> None:
    pixels, aspect = orthogonal_slice(row.volume, cut, center)
    low, high = row.hu_range
    axis.imshow(pixels, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
    if row.overlay is not None:
        values = orthogonal_slice(row.overlay, cut, center)[0].astype(float)
        limit = row.overlay_range or float(np.abs(row.overlay.voxels).max()) or 1.0
        strength = np.clip(np.abs(values) / limit, 0, 1) * 0.8  # faint where the map is small
        colors = {"cmap": "bwr", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
        axis.imshow(values, alpha=strength, aspect=aspect, **colors)
    if row.outline is not None:
        mask = orthogonal_slice(row.outline, cut, center)[0] > 0
        if mask.any():
            axis.contour(mask, levels=[0.5], colors="yellow", linewidths=0.8)
    axis.set_aspect(aspect)


def _mark_sides(axis, view: str, top: str) -> None:
    """The sides' letters within the panel's margins."""
    axis.set_axis_off()
    left, right = ("A", "P") if view == "sagittal" else ("R", "L")
    for label, x, y in ((left, 0.02, 0.5), (right, 0.94, 0.5), (top, 0.48, 0.93)):
        axis.text(x, y, label, color="yellow", fontsize=8, transform=axis.transAxes)
