"""Dice, tissues, medians and seams by hand."""

import numpy as np
import pytest

from MedDiffFMTraining.evaluate.metrics import anatomy as measures


def test_dice_by_hand():
    one, other = np.zeros((2, 4, 4, 4), bool)
    one[0, 0, :3], other[0, 0, 1:] = True, True  # 3 and 3 voxels, 2 in both
    assert measures.dice(one, other) == pytest.approx(2 * 2 / 6)
    assert measures.dice(one, one) == 1 and measures.dice(one, ~one) == 0
    assert measures.dice(one, np.zeros_like(one)) == 0
    assert measures.dice(np.zeros_like(one), np.zeros_like(one)) is None
    assert measures.mean([None, 1.0, 0.0]) == 0.5 and measures.mean([None]) is None


def test_tissues_are_told_by_hu_as_far_as_the_window_shows_them():
    hu = np.repeat([-1000.0, -90.0, 50.0, 900.0], 5)[None, None].repeat(5, 1).repeat(2, 0)  # (2, 5, 20)
    body = np.ones(hu.shape, bool)
    body[..., -1] = False
    chest = measures.find_tissues(hu, (-1400, 400), body)
    assert list(chest) == ["lung and gas", "fat", "soft tissue", "bone"]
    middles = [mask[0, 2, 2::5].tolist() for mask in chest.values()]
    assert middles == np.eye(4, dtype=bool).tolist() and not chest["bone"][..., -1].any()
    abdomen = measures.find_tissues(hu, (-120, 240), body)
    assert list(abdomen) == ["fat", "soft tissue", "bone"]  # gas is clipped to fat's HU: nobody can tell
    assert abdomen["fat"][0, 2, 2] and abdomen["bone"][0, 2, 17]


def test_only_what_is_there_counts():
    small, large = np.zeros((2, 5, 5, 5), bool)
    small[0, 0, 0], large[:4] = True, True  # 1 and 100 voxels
    found = {"small": small, "large": large, "other": large}
    assert measures.dice_of_each(found, {"small": small, "large": large}) == {"large": 1.0}


def test_medians_of_organs_leave_out_their_border():
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[1:11, 1:11, 1:11], labels[0] = 5, 118  # 10³ of liver, whose core is 8³
    real = np.full(labels.shape, 40.0)
    real[2:10, 2:10, 2:10] = 60
    synthetic = np.where(real == 60, 900.0, 0)
    found = measures.organ_medians(labels, (-120, 240), real=real, synthetic=synthetic)
    assert found == {"liver": {"real": 60, "synthetic": 240}}


def test_a_seam_is_the_step_at_a_border_over_those_elsewhere():
    """A ramp of 1 along x with a step of 4 between voxels 5 and 6."""
    hu = np.arange(12.0)[None, None].repeat(8, 1).repeat(8, 0)
    body = np.ones(hu.shape, bool)
    borders = [[], [], [6]]
    assert measures.seam(hu, borders, body) == pytest.approx(1)
    hu[..., 6:] += 3
    assert measures.seam(hu, borders, body) == pytest.approx(4)
    assert measures.seam(hu, [[], [], [5]], body) == pytest.approx(1 / ((9 * 1 + 4) / 10))
    body[..., 6:] = False  # the step is at the body's end, and so is nobody's
    assert measures.seam(hu, borders, body) is None and measures.seam(hu, [[], [], []], body) is None


def test_borders_of_windows_come_to_the_volumes_own_grid():
    """40 voxels by windows of 16 with a quarter of overlap: 0–16, 12–28, 24–40; on a grid twice as fine all is double.
    16 voxels have one window, and no border.
    """
    assert measures.window_borders((40, 16, 80), (40, 16, 40), 16, 0.25) == [[12, 16, 24, 28], [], [24, 32, 48, 56]]


def test_medians_are_held_against_real_patients():
    medians = {"liver": {"made": 52.0, "air": -960.0}, "lung": {"made": -830.0, "air": -960.0}}
    assert measures.within_real_range(medians, "made") == {"liver": True, "lung": True}
    assert measures.within_real_range(medians, "air") == {"liver": False, "lung": False}
