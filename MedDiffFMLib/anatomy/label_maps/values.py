"""The numbers of a label map, as programs store them: floating point, 255 for a mask, −1 for the background."""

from __future__ import annotations

import numpy as np

from ...errors import InputError
from ...volumes.io import as_labels
from ...volumes.volume import Volume

_ROUNDING = 1e-3  # how far a stored label may lie from a whole number, as 0.99999 = 255 · (1/255) does
_IMAGE_VALUES, _IMAGE_SHARE = 250, 0.3  # no label map has so many labels that fill so much of it


def whole_labels(volume: Volume) -> Volume:
    """A volume as a label map of uint8 or uint16, 0 for the background.

    Values that lie next to whole numbers are rounded, and −1 becomes background, which a warning says. InputError for
    an image, for fractions, for other negative values, and for labels above 65535.
    """
    voxels = volume.voxels
    low, high = float(voxels.min()), float(voxels.max())
    if np.issubdtype(voxels.dtype, np.floating):
        whole = np.rint(voxels)
        if np.abs(voxels - whole).max() <= _ROUNDING:
            voxels = whole
    if low < -1.5 and (count := np.unique(voxels).size) > _IMAGE_VALUES:
        raise InputError(_image(volume.source, count, low, high))
    if high > 65535 and np.array_equal(voxels, np.rint(voxels)):
        raise InputError(f"{volume.source} holds labels up to {high:g}, and 65535 is the highest: number them anew.")
    if low < 0 and np.array_equal(voxels < 0, voxels == -1):
        voxels = np.maximum(voxels, 0)
        volume = volume.with_warning(f"{volume.source} holds -1, which counts as background, as 0 does.")
    labels = as_labels(volume.with_voxels(voxels))
    count = len(present(labels)) if high > _IMAGE_VALUES else 0
    if count > _IMAGE_VALUES and np.count_nonzero(labels.voxels) > _IMAGE_SHARE * labels.voxels.size:
        raise InputError(_image(volume.source, count + 1, low, high))
    return labels


def present(labels: Volume) -> list[int]:
    """The labels that occur in a label map (uint8 or uint16), without the background, ascending."""
    return [int(number) for number in np.flatnonzero(np.bincount(labels.voxels[labels.voxels > 0]))]


def _image(source: str, count: int, low: float, high: float) -> str:
    return (
        f"{source or 'The volume'} is not a label map but an image ({count} different values from {low:g} to "
        f"{high:g}), perhaps files are in the wrong order: give whole numbers, 0 for background."
    )
