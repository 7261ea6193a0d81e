"""Findings of an anomaly map: the connected parts of what exceeds a threshold, with their measures.

The long functions are generators that yield every few milliseconds, so that a large map never blocks Slicer.
"""

import importlib
from dataclasses import dataclass

import numpy as np

from MedDiffFMLib.tasks.threshold import TOUCHING, Threshold, is_large

PIECE = 1 << 19  # voxels processed between two yields
ROWS_AT_ONCE = 500  # findings processed between two yields


@dataclass(frozen=True)
class Rule(Threshold):
    """The task's rule for what is a finding. smallestMl: smaller parts are counted, but not listed."""

    smallestMl: float = 0.1

    def over(self, deviation):
        """[(BRIGHTER or DARKER, mask)] of what exceeds the threshold, for the chosen sides. 0 is outside the organ."""
        return self.sides(deviation, deviation != 0)


@dataclass(frozen=True)
class Finding:
    """A finding. kind: BRIGHTER or DARKER. sizeMm: the edges of its box along the map's axes i, j, k. meanHU, peakHU:
    mean and extreme value of the map in it.

    score: the distance of its mean from the organ's own level, times its volume (HU · ml). center, peak: RAS in mm;
    the peak lies within the finding.
    """

    kind: int
    volumeMl: float
    sizeMm: tuple
    meanHU: float
    peakHU: float
    score: float
    center: tuple
    peak: tuple


def organBox(deviation):
    """The bounding box of the nonzero voxels (three slices), or of the whole map if all are 0. Generator."""
    rows, columns, slices = np.zeros(deviation.shape[1], bool), np.zeros(deviation.shape[2], bool), []
    for _start, piece in _pieces(deviation):
        inside = piece != 0
        slices.append(inside.any(axis=(1, 2)))
        rows |= inside.any(axis=(0, 2))
        columns |= inside.any(axis=(0, 1))
        yield
    ends = [np.flatnonzero(line)[[0, -1]] for line in (np.concatenate(slices), rows, columns) if line.any()]
    return tuple(slice(int(a), int(b) + 1) for a, b in ends) if ends else tuple(slice(0, n) for n in deviation.shape)


def markFindings(deviation, rule, marks):
    """Write BRIGHTER, DARKER or 0 for each voxel of the map into `marks` (uint8, same shape). Generator."""
    for start, piece in _pieces(deviation):
        part = np.zeros(piece.shape, np.uint8)
        for kind, over in rule.over(piece):
            part[over] = kind
        marks[start : start + len(piece)] = part
        yield


def findParts(deviation, rule, ijkToRAS):
    """Find the connected parts (by faces, edges or corners) of what exceeds the threshold, brighter and darker apart.

    deviation: the map (k, j, i). ijkToRAS: its 4 × 4 matrix. A generator; its return value is (the findings from the
    highest score on, the number of smaller parts).
    """
    yield from _loadScipy()
    from scipy import ndimage

    measures, links, borders, count = [], [], {}, 0
    for start, piece in _pieces(deviation):
        for kind, over in rule.over(piece):
            labels, number = ndimage.label(over, structure=TOUCHING)
            if number:
                measures.append(_measure(labels, number, piece - rule.center, start, kind))
            first, last = (np.where(labels[end] > 0, labels[end] + count, 0) for end in (0, -1))
            if kind in borders:
                links.append(_touching(borders[kind], first))
            borders[kind] = last
            count += number
            yield
    if not count:
        return [], 0
    parts = yield from _joined(np.concatenate(measures), links)
    matrix = np.asarray(ijkToRAS, float)
    large = parts[is_large(parts[:, 1], _voxelMl(matrix), rule.smallestMl)]
    large = large[np.argsort(-np.abs(large[:, 2]), kind="stable")]  # the summed deviation: the score in other units
    findings = []
    for start in range(0, len(large), ROWS_AT_ONCE):
        findings += _findings(large[start : start + ROWS_AT_ONCE], rule, matrix)
        yield
    return findings, len(parts) - len(large)


def _loadScipy():
    """Import SciPy module by module: all at once would take a quarter of a second. Generator."""
    for name in (
        "numpy.testing",
        "numpy.f2py",
        "scipy",
        "scipy.special",
        "scipy.linalg",
        "scipy.ndimage",
        "scipy.sparse.csgraph",
    ):
        importlib.import_module(name)
        yield


def _pieces(deviation):
    """(first slice, some slices) for consecutive pieces of about `PIECE` voxels."""
    step = max(1, PIECE // max(1, deviation[0].size))
    for start in range(0, len(deviation), step):
        yield start, deviation[start : start + step]


# columns of a part: sums (voxels, deviation, k, j, i), lowest and highest index, peak with its index
ADDED, LOW, HIGH, PEAK = slice(1, 6), slice(6, 9), slice(9, 12), slice(12, 16)


def _measure(labels, number, away, start, kind):
    """The measures of the labeled parts, one row each: kind, then ADDED, LOW, HIGH, PEAK. away: deviation from the
    organ's level. start: the index of the first slice.
    """
    from scipy import ndimage

    rows = np.zeros((number, 16))
    rows[:, 0] = kind
    where = np.nonzero(labels)
    part, values = labels[where] - 1, away[where].astype(float)
    where = (where[0] + start, where[1], where[2])
    rows[:, 1] = np.bincount(part, minlength=number)
    for column, weights in enumerate((values, *where), 2):
        rows[:, column] = np.bincount(part, weights, number)
    for row, box in enumerate(ndimage.find_objects(labels)):
        rows[row, LOW] = [edge.start for edge in box]
        rows[row, HIGH] = [edge.stop for edge in box]
    rows[:, (LOW.start, HIGH.start)] += start
    order = np.argsort(np.abs(values), kind="stable")
    highest = np.empty(number, int)
    highest[part[order]] = order  # with repeated indices the last assignment counts
    rows[:, PEAK] = np.stack([values[highest], *(axis[highest] for axis in where)], axis=1)
    return rows


def _touching(before, after):
    """The pairs of parts that touch between two neighboring slices."""
    padded, pairs = np.pad(before, 1), []
    rows, columns = after.shape
    for j in range(3):
        for i in range(3):
            shifted = padded[j : j + rows, i : i + columns]
            both = (shifted > 0) & (after > 0)
            pairs.append(np.stack([shifted[both], after[both]], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _joined(rows, links):
    """Merge the rows of linked parts, which the pieces have cut. Generator: noise has several hundred thousand."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.concatenate([np.zeros((0, 2), int), *links]) - 1
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(rows), len(rows)))
    yield
    number, component = connected_components(graph, directed=False)
    joined = np.zeros((number, 16))
    yield
    for column in range(ADDED.start, ADDED.stop):
        joined[:, column] = np.bincount(component, rows[:, column], number)
    yield
    joined[:, LOW] = np.inf
    for column in range(LOW.start, LOW.stop):
        np.minimum.at(joined[:, column], component, rows[:, column])
        yield
    for column in range(HIGH.start, HIGH.stop):
        np.maximum.at(joined[:, column], component, rows[:, column])
        yield
    order = np.argsort(np.abs(rows[:, PEAK.start]), kind="stable")
    yield
    highest = np.empty(number, int)
    highest[component[order]] = order
    joined[:, PEAK], joined[:, 0] = rows[highest, PEAK], rows[highest, 0]
    return joined


def _findings(rows, rule, matrix):
    """The `Finding` of each row."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    findings = []
    for row in rows:
        voxels, total = row[1], row[2]
        mean, volume = total / voxels, voxels * _voxelMl(matrix)
        findings.append(
            Finding(
                kind=int(row[0]),
                volumeMl=float(volume),
                sizeMm=tuple(float(mm) for mm in (row[HIGH] - row[LOW])[::-1] * spacing),
                meanHU=float(mean + rule.center),
                peakHU=float(row[PEAK.start] + rule.center),
                score=float(abs(mean) * volume),
                center=_toRAS(matrix, row[3:6] / voxels),
                peak=_toRAS(matrix, row[13:16]),
            )
        )
    return findings


def _voxelMl(matrix):
    return abs(np.linalg.det(matrix[:3, :3])) / 1000


def _toRAS(matrix, index):
    """RAS in mm of an index (k, j, i)."""
    return tuple(float(mm) for mm in (matrix @ [*index[::-1], 1.0])[:3])
