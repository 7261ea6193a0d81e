"""A task on a whole-body scan: on each part as a scan of its own, whose position is its own too, as in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..anatomy.body_regions import BodyPart
from ..progress import Progress, ProgressCallback
from ..volumes.volume import Volume

Result = TypeVar("Result")


def part_of(whole: Volume, part: BodyPart) -> Volume:
    """The slices of a part as a volume at its place in space. whole: axial slices first, in RAS order."""
    origin = np.asarray(whole.origin) + part.start * whole.spacing[2] * np.reshape(whole.direction, (3, 3))[:, 2]
    return replace(whole, voxels=whole.voxels[part.z], origin=tuple(origin.tolist()))


def run_each(
    parts: Sequence[BodyPart],
    run: Callable[[BodyPart, ProgressCallback | None], Result],
    progress: ProgressCallback | None,
) -> dict[int, Result]:
    """What `run` makes of each part, by the part's first slice; it tells its progress to the callback it is given."""
    slices = sum(len(part.weights) for part in parts)
    results, done = {}, 0
    for part in parts:
        first, done = done / slices, done + len(part.weights)
        results[part.start] = run(part, share_of(progress, first, done / slices))
    return results


def share_of(progress: ProgressCallback | None, first: float, last: float) -> ProgressCallback | None:
    """A callback that tells a part of the work as that share of the whole."""
    if progress is None:
        return None

    def tell(now: Progress) -> None:
        progress(replace(now, share=first + (last - first) * now.fraction, seconds_left=None, preview=None))

    return tell
