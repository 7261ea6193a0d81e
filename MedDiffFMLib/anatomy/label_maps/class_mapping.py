"""Named labels become the model's classes; where organs overlap, the smaller one stays whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...volumes.volume import Volume
from ..classes import BODY, BONE, GAS, LUNG, ORGANS, close_names, label_for_foreign_name, misspelled
from .header_names import Segment
from .values import present, whole_labels

_COARSE = {BODY: 3, LUNG: 2, BONE: 2, GAS: 1}  # any other organ has precedence over these
_SHOWN = 8


class ClassMap:
    """A label map (uint8) of the model's classes that is drawn organ by organ."""

    def __init__(self, shape: tuple[int, ...]):
        self.voxels = np.zeros(shape, np.uint8)
        self._sizes = np.zeros(len(ORGANS) + 1, np.int64)
        self._overlaps: Counter[tuple[int, int]] = Counter()

    def draw(self, classes: np.ndarray) -> None:
        """Put classes (uint8, 0 for nothing) over what is there.

        Where two meet, an organ has precedence over lung, bone, gas and unnamed body, and a smaller organ over a larger
        one.
        """
        where = np.flatnonzero(classes)
        new, old = classes.reshape(-1)[where], self.voxels.reshape(-1)[where]
        self._sizes += np.bincount(new, minlength=self._sizes.size)
        rank = np.empty(self._sizes.size, np.int64)
        coarse = [_COARSE.get(number, 0) for number in range(rank.size)]
        rank[np.lexsort((self._sizes, coarse))] = np.arange(rank.size)
        self._count(new, old)
        self.voxels.reshape(-1)[where] = np.where((old == 0) | (rank[new] < rank[old]), new, old)

    def _count(self, new: np.ndarray, old: np.ndarray) -> None:
        overlapping = (old > 0) & (old < BODY) & (new < BODY) & (new != old)
        low, high = np.minimum(new[overlapping], old[overlapping]), np.maximum(new[overlapping], old[overlapping])
        counts = np.bincount(low.astype(np.int64) * 256 + high)
        for pair in np.flatnonzero(counts):
            self._overlaps[int(pair) // 256, int(pair) % 256] += int(counts[pair])

    @property
    def overlaps(self) -> str:
        """The organs that overlapped, in words; empty if none did."""
        pairs = [f"{ORGANS[a]} and {ORGANS[b]}" for (a, b), _ in self._overlaps.most_common()]
        return f"{self._overlaps.total()} voxels belong to several organs ({shorten(pairs)})" if pairs else ""


def to_model_classes(layers: list[Volume], segments: list[Segment], path: Path) -> tuple[Volume, int]:
    """The label map of the model's classes made of named layers, and how many of its segments became body.

    Names that no class has count as body, and overlaps are resolved as by `ClassMap`: warnings say so. InputError if
    none of the names is an organ's, if one is an organ's misspelled, or if one label has two organs' names.
    """
    layers = [whole_labels(layer) for layer in layers]
    present_values = [set(present(layer)) for layer in layers]
    segments = [s for s in segments if s.layer < len(layers) and s.value in present_values[s.layer]]
    named = {(s.layer, s.value) for s in segments}
    nameless = [
        Segment(f"label {v}", v, i) for i, values in enumerate(present_values) for v in values if (i, v) not in named
    ]
    classes = {s: class_of(s) for s in segments}
    unknown = [s for s, number in classes.items() if number is None]
    if len(unknown) == len(segments) and (unknown or nameless):
        raise InputError(_no_organ(path, [*unknown, *nameless]))
    check_spelling(path, [s.name for s in unknown])
    _check_unique(path, classes)
    drawn = ClassMap(layers[0].voxels.shape)
    for i, layer in enumerate(layers):
        table = np.zeros(int(layer.voxels.max()) + 1, np.uint8)
        for s in (*nameless, *segments):
            if s.layer == i:
                table[s.value] = classes.get(s) or BODY
        drawn.draw(table[layer.voxels])
    first = layers[0].with_voxels(drawn.voxels)
    for s in segments:
        if label_for_foreign_name(s.name) is None and label_for_foreign_name(s.identity) is None and classes[s]:
            first = first.with_warning(f"{path}: the segment {s.name!r} counts as {ORGANS[classes[s]]}, {s.meaning}.")
    return with_warnings(first, path, [s.name for s in (*unknown, *nameless)], drawn.overlaps)


def with_warnings(labels: Volume, path: Path, others: list[str], overlaps: str) -> tuple[Volume, int]:
    """A label map with warnings about overlaps and about names of no class, and the number of those names."""
    if others:
        near = dict.fromkeys(one for name in others for one in close_names(name, likeness=0.8))
        hint = f" (near: {shorten(list(near))})" if near else ""
        labels = labels.with_warning(
            f"{path}: no class of the model is called {shorten(others)}{hint}; counted as other parts of the body."
        )
    if overlaps:
        labels = labels.with_warning(f"{path}: {overlaps}; the smaller organ has them.")
    if not labels.voxels.any():
        labels = labels.with_warning(f"{path} holds no labels, only background.")
    return labels, len(others)


def shorten(words: list[str]) -> str:
    """The items of a list in words; of a long list the first ones and the number of the others."""
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def check_spelling(path: Path, names: list[str]) -> None:
    """Refuse misspelled names: InputError if one of these names, which no class has, is surely meant for a class."""
    for name in names:
        if near := misspelled(name):
            raise InputError(f"{path} names a label {name!r}: did you mean {' or '.join(near)}? Correct its name.")


def _check_unique(path: Path, classes: dict[Segment, int | None]) -> None:
    """Refuse ambiguous labels: InputError if one label is claimed by segments of different classes."""
    first: dict[tuple[int, int], Segment] = {}
    for s, number in classes.items():
        other = first.setdefault((s.layer, s.value), s)
        if classes[other] != number:
            raise InputError(
                f"{path} gives label {s.value} two names, {other.name!r} and {s.name!r}: give each segment a number "
                "of its own (in 3D Slicer, save the segmentation again)."
            )


def _no_organ(path: Path, unknown: list[Segment]) -> str:
    shown = ", ".join(repr(s.name) for s in unknown[:5]) + (", …" if len(unknown) > 5 else "")
    near = sorted({name for s in unknown for n in s.names for name in close_names(n)})[:5]
    hint = f" (near: {', '.join(near)})" if near else ""
    return (
        f"{path} names no organ that the model knows, only {shown}: "
        f"name its segments as TotalSegmentator does, for example liver{hint}."
    )


def class_of(segment: Segment) -> int | None:
    """The number of the class that a segment's name means, or else one of its other names; None if there is none."""
    return next((number for name in segment.names if (number := label_for_foreign_name(name)) is not None), None)
