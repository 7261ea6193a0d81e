"""AUROC, PRO and Dice of anomaly maps against values worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'training')")

from MedDiffFMTraining.evaluate.metrics.anomalies import auroc, detection_quality, dice_at_half, image_auroc, pro


def a_slice(values, lesion):
    """One slice of one row: scores, lesion, and all of it counted."""
    score = np.array(values, float).reshape(1, 1, -1)
    return score, np.array(lesion, bool).reshape(1, 1, -1), np.ones(score.shape, bool)


def test_auroc_counts_pairs():
    """3 beats 2, 1 and 0; 1 beats 0, ties with 1, loses to 2: 4.5 of 6 pairs."""
    assert auroc(np.array([3, 1, 2, 1, 0]), np.array([True, True, False, False, False])) == 0.75


def test_an_image_scores_as_its_highest_counted_voxel():
    """Slices score 5, 4, 6 (lesion) and 3 (lesion): 6 beats both healthy ones, 3 none: 2 of 4. The slice without
    counted voxels and the voxel of 99 that is not counted do not matter.
    """
    score = np.array([[5, 99], [4, 0], [6, -6], [3, 3], [70, 70]], float).reshape(5, 1, 2)
    lesion = np.zeros(score.shape, bool)
    lesion[2, 0, 1] = lesion[3, 0, 0] = True
    counted = np.ones(score.shape, bool)
    counted[0, 0, 1] = counted[4] = False
    assert image_auroc(score, lesion, counted) == 0.5
    assert image_auroc(score[2:4], lesion[2:4], counted[2:4]) is None


def test_pro_of_a_small_and_a_large_region():
    """Regions of 1 and 4 voxels, ten healthy ones. Down the thresholds (false positive rate, mean share of a region):
    .9 (0, .5), .85 (.1, .5), .8 (.1, .75), .5 (.2, .75), .1 (.2, 1), 0 (1, 1): the area up to .3 is
    .1·.5 + .1·.75 + .1·1 = .225, of .3: .75. Voxel by voxel it would be (.1·.2 + .1·.6 + .1·1)/.3 = .6.
    """
    values = [0.9, 0.85, 0.8, 0.8, 0.1, 0.1, 0.5, *[0] * 8]
    lesion = [1, 0, 1, 1, 1, 1, *[0] * 9]
    assert pro(*a_slice(values, lesion)) == pytest.approx(0.75)


def test_pro_between_two_thresholds_is_on_the_line_between_them():
    """Half of the region is found before anything else, the rest ties with all healthy voxels: from (0, .5) to (1, 1).
    At .3 it is .65; the area (.5 + .65)/2·.3, of .3: .575.
    """
    assert pro(*a_slice([1, 0, 0, 0, 0], [1, 1, 0, 0, 0])) == pytest.approx(0.575)


def test_regions_are_of_a_slice_and_hang_together_at_corners():
    """Two voxels on a diagonal are one region, and the one above another: found is the lone one above, so half of the
    regions (a third if corners did not join, nothing or all if slices did).
    """
    score, lesion = np.zeros((2, 2, 6)), np.zeros((2, 2, 6), bool)
    lesion[0, 0, 0] = lesion[0, 1, 1] = lesion[1, 0, 0] = True
    score[1, 0, 0] = 1
    share_at_limit = 0.5 + 0.3 * 0.5
    assert pro(score, lesion, np.ones(score.shape, bool)) == pytest.approx((0.5 + share_at_limit) / 2)


def test_dice_of_each_slice_with_a_lesion_at_half_of_its_own_range():
    """Slice 0, from 0 to 10: over 5 are 10 and 6 (lesion) and 8: 2·2/(3 + 2) = .8. Slice 1 has no lesion. Slice 2, from
    0 to 4: over 2 is a healthy 4 alone, 0. The mean: .4. What is not counted (99) does not set the range.
    """
    score = np.array([[10, 6, 8, 0, 1], [9, 9, 0, 0, 0], [2, 4, 0, 0, 99]], float).reshape(3, 1, 5)
    lesion = np.zeros(score.shape, bool)
    lesion[0, 0, :2] = lesion[2, 0, 0] = True
    counted = score < 99
    assert dice_at_half(score, lesion, counted) == pytest.approx(0.4)


def test_a_perfect_map_and_its_negative():
    lesion = np.zeros((4, 8, 8), bool)
    lesion[1:3, 2:5, 2:5] = True
    counted = np.ones(lesion.shape, bool)
    assert detection_quality(lesion.astype(float), lesion, counted) == (1, 1, 1, 1)
    assert detection_quality(-lesion.astype(float), lesion, counted)[1:] == (0, 0, 0)
    with pytest.raises(ValueError, match="with and without a lesion"):
        detection_quality(lesion.astype(float), counted, counted)
