"""What a label map tells without its CT."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy.region_detection import region_of_labels
from MedDiffFMLib.anatomy.regions import ABDOMEN, CHEST, HEAD_NECK
from MedDiffFMLib.anatomy.tissue import with_body
from MedDiffFMLib.volumes.io import read_labels


def slices(*labels_of_slices: dict) -> np.ndarray:
    """A body of 20 × 20 voxels with squares of organs: {label: side}."""
    volume = np.full((len(labels_of_slices), 24, 24), 0, np.uint8)
    volume[:, 2:22, 2:22] = 118
    for slice_, organs in zip(volume, labels_of_slices, strict=True):
        for label, side in organs.items():
            slice_[4 : 4 + side, 4 : 4 + side] = label
    return volume


@pytest.mark.parametrize(
    ("labels", "region"),
    [
        (slices({10: 8}, {10: 8}, {5: 8}), CHEST),
        (slices({10: 8}, {5: 8}, {5: 8}), ABDOMEN),
        (slices({10: 3}, {10: 3}, {5: 8}), ABDOMEN),  # 9 of 400 voxels: a sliver of lung
        (slices({90: 8}, {48: 3}, {10: 8}), HEAD_NECK),
        (slices({119: 8}, {119: 8}), CHEST),
        (slices({120: 8}, {}), None),
    ],
)
def test_regions(labels, region):
    assert region_of_labels(labels) is region


def test_the_region_of_a_real_label_map(data):
    assert region_of_labels(read_labels(data / "abd_ts_example_seg.nii.gz").voxels) is ABDOMEN


def test_a_body_around_two_organs_is_their_hull_and_15_mm():
    """Two squares 40 mm apart: between them body, 15 mm around them body, further out none; the organs stay."""
    labels = np.zeros((3, 60, 100), np.uint8)
    labels[1, 25:35, 20:30] = 5
    labels[1, 25:35, 70:80] = 1
    body = with_body(labels, (5.0, 1.0, 1.0))
    assert not body[0].any() and not body[2].any()
    np.testing.assert_array_equal(body[labels > 0], labels[labels > 0])
    assert set(np.unique(body)) == {0, 1, 5, 118}
    row = np.flatnonzero(body[1, 30])
    assert (row[0], row[-1]) == (5, 94) and len(row) == 90  # 20 − 15 … 79 + 15, without a gap
    column = np.flatnonzero(body[1, :, 50])
    assert (column[0], column[-1]) == (10, 49)


@pytest.mark.parametrize("organ", [(slice(0, 1), slice(0, 1)), (slice(3, 4), slice(0, 9))])
def test_a_voxel_or_a_line_has_no_hull(organ):
    labels = np.zeros((1, 10, 10), np.uint8)
    labels[0][organ] = 5
    np.testing.assert_array_equal(with_body(labels, (1.0, 1.0, 1.0)), labels)


def test_a_body_around_real_organs_covers_the_real_one(data):
    """The organs' hull and 15 mm is the body seen in the CT, but for fat at the flanks: 75 % Dice and more."""
    from MedDiffFMLib.anatomy.tissue import body_mask
    from MedDiffFMLib.volumes.io import read_volume

    labels = read_labels(data / "abd_ts_example_seg.nii.gz").voxels
    truth = body_mask(read_volume(data / "abd_ts_example.nii.gz").voxels.astype(np.float32))
    found = with_body(labels, (3.0, 3.0, 3.0)) > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.75
