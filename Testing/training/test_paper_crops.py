"""Crops as the paper draws them, by switches: windowed before resizing, anywhere, always placed. Values by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import draw_crop
from MedDiffFMTraining.data.store import Case, CaseFacts, write_case

IMAGE = CropConfig(patch=(8, 8, 8), levels=(1, 0, 0, 0), keep_organs=1.0, keep_position=1.0)


def one(folder, hu, labels, placed=True):
    facts = CaseFacts("case", "patient", "abdomen", (1.0, 1.0, 1.0), 5.0, placed)
    return Case(write_case(folder, "train", facts, hu.astype(np.int16), labels.astype(np.uint8)))


def test_a_border_of_air_and_tissue(tmp_path):
    """Every voxel of the patch is half air, half tissue of 60 HU, the middle of −120 to 240: their mean of −470 HU is
    −1 there, but the mean of −1 and 0 is −0.5.
    """
    hu = np.tile(np.repeat([-1000, 60], 1), (16, 16, 8))
    case = one(tmp_path, hu, np.full(hu.shape, 118))
    draw = lambda config: draw_crop(np.random.default_rng(0), [case], config).x0  # noqa: E731
    assert (draw(IMAGE) == -1).all()
    assert np.allclose(draw(replace(IMAGE, window_first=True)), -0.5, atol=1e-6)


def test_boxes_lie_anywhere(tmp_path):
    """A row of 11 voxels with its body at one end and a patch of 8: four places, each as often as the others."""
    hu = np.broadcast_to(np.arange(11), (8, 8, 11))
    labels = np.zeros(hu.shape)
    labels[..., 0] = 118
    case = one(tmp_path, hu, labels)
    config = replace(IMAGE, levels=(0, 0, 0, 1))

    def places(config):
        crops = [draw_crop(np.random.default_rng(n), [case], config) for n in range(200)]
        return Counter(round(float(crop.x0[0, 0, 0, 0] + 1) * 180 - 120) for crop in crops)

    assert set(places(config)) == {0}
    found = places(replace(config, anywhere=True))
    assert set(found) == {0, 1, 2, 3} and min(found.values()) > 30


@pytest.mark.parametrize("placed", [False, True])
def test_the_position_of_a_scan_that_cuts_the_body_off(tmp_path, placed):
    hu = np.zeros((8, 8, 8))
    case = one(tmp_path, hu, np.full(hu.shape, 118), placed=False)
    assert draw_crop(np.random.default_rng(0), [case], replace(IMAGE, cut_off_placed=placed)).placed is placed
