"""Pre-training crops changed at random: mirrored, one is the mirrored patient's; zoomed, it keeps its place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from MedDiffFMLib.anatomy.classes import label_number
from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.augment import OTHER_SIDE, mirror
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import draw_crop
from MedDiffFMTraining.data.store import Case, CaseFacts, write_case
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.trainer import Trainer
from MedDiffFMTraining.learn.validation import fixed_crops

LEFT, RIGHT = label_number("kidney_left"), label_number("kidney_right")
WHOLE = CropConfig(patch=(8, 16, 16), levels=(1, 0, 0, 0), keep_organs=1.0, keep_position=1.0)


def one(folder, hu, labels, region="abdomen"):
    facts = CaseFacts("case", "patient", region, (1.0, 1.0, 1.0), 5.0, True)
    return Case(write_case(folder, "train", facts, hu, labels))


def test_the_other_side_of_every_label():
    assert OTHER_SIDE[LEFT] == RIGHT and OTHER_SIDE[RIGHT] == LEFT
    lobes = [label_number(f"lung_{lobe}") for lobe in ("middle_lobe_right", "upper_lobe_right", "upper_lobe_left")]
    assert OTHER_SIDE[lobes].tolist() == [lobes[2], lobes[2], lobes[1]]  # the left lung has no middle lobe
    alone = [0, label_number("liver"), label_number("heart"), 118, 119, 120, 121, 200]
    assert OTHER_SIDE[alone].tolist() == alone


def test_a_mirrored_crop_is_the_crop_of_the_mirrored_patient(tmp_path):
    """The other patient is turned over by hand, its kidneys renamed."""
    rng = np.random.default_rng(0)
    hu = rng.integers(-100, 200, (12, 20, 30)).astype(np.int16)
    labels = np.full(hu.shape, 118, np.uint8)
    labels[4:8, 5:9, 2:8], labels[4:8, 5:9, 20:28] = RIGHT, LEFT
    renamed = np.where(labels == LEFT, RIGHT, np.where(labels == RIGHT, LEFT, labels)).astype(np.uint8)
    patient, turned = one(tmp_path / "a", hu, labels), one(tmp_path / "b", hu[..., ::-1], renamed[..., ::-1])
    crop = mirror(draw_crop(np.random.default_rng(1), [patient], WHOLE))
    true = draw_crop(np.random.default_rng(1), [turned], WHOLE)
    assert torch.allclose(crop.x0, true.x0, atol=1e-6) and torch.equal(crop.labels, true.labels)
    assert all(torch.allclose(a, b) for a, b in zip(crop.axes, true.axes, strict=True))
    always = draw_crop(np.random.default_rng(1), [patient], replace(WHOLE, mirrored=(("abdomen", 1.0),)))
    assert torch.equal(always.x0, crop.x0)
    never = draw_crop(np.random.default_rng(1), [patient], replace(WHOLE, mirrored=(("chest", 1.0),)))
    assert torch.equal(never.x0, crop.x0.flip(-1))


@pytest.mark.parametrize("level, wide", [("double", 2.5), ("patch", 1.25), ("own", 1.0)])
def test_a_zoomed_crop_keeps_its_place(tmp_path, level, wide):
    """HU are the voxel's index along x: a box 1.25 times larger shows 1.25 (or 2.5) HU a voxel, where its p_x says."""
    hu = np.broadcast_to(np.arange(64, dtype=np.int16), (48, 48, 64))
    case = one(tmp_path, hu, np.full(hu.shape, 118, np.uint8))
    levels = tuple(float(level == name) for name in ("image", "double", "patch", "own"))
    config = CropConfig(patch=(16, 16, 16), levels=levels, zoom=(1.25, 1.25), keep_position=1.0)
    crop = draw_crop(np.random.default_rng(2), [case], config)
    shown = (crop.x0[0, 0, 0].numpy() + 1) * 180 - 120  # the abdomen's window
    place = (crop.axes[0].numpy() + 1) / 2 * 63
    assert np.abs(shown - place).max() <= 0.6
    assert np.diff(place) == pytest.approx(wide) and (shown[-1] - shown[0]) / 15 == pytest.approx(wide, rel=0.05)


def test_a_mirrored_crop_lies_on_the_other_side(tmp_path):
    """HU are the voxel's index i along x; in the mirrored patient of 64 voxels that is 63 − i."""
    hu = np.broadcast_to(np.arange(64, dtype=np.int16), (32, 32, 64))
    case = one(tmp_path, hu, np.full(hu.shape, 118, np.uint8))
    config = CropConfig(patch=(16, 16, 16), levels=(0, 0, 0, 1), keep_position=1.0)
    crop = draw_crop(np.random.default_rng(4), [case], config)
    assert abs(crop.axes[0].mean()) > 0.05  # not in the middle
    made = mirror(crop)
    index = (made.x0[0, 0, 0].numpy() + 1) * 180 - 120
    assert np.allclose((made.axes[0].numpy() + 1) / 2 * 63, 63 - index, atol=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(made.axes[1:], crop.axes[1:], strict=True))


def test_hu_are_multiplied_by_up_to_the_gain(tmp_path):
    hu = np.full((16, 16, 16), 100, np.int16)
    case = one(tmp_path, hu, np.full(hu.shape, 118, np.uint8))
    config = replace(WHOLE, hu_gain=0.05)
    shown = [(draw_crop(np.random.default_rng(n), [case], config).x0.mean().item() + 1) * 180 - 120 for n in range(40)]
    assert 95 <= min(shown) < 97 and 103 < max(shown) <= 105


def test_validation_crops_are_not_changed(train_cases, tmp_path):
    crops = CropConfig(patch=(16, 16, 16), levels=(1, 1, 1, 1))
    changed = replace(crops, zoom=(0.8, 1.2), mirrored=(("abdomen", 1.0),), hu_gain=0.2, window_jitter_hu=30.0)
    made = [
        fixed_crops(Trainer(PretrainConfig(crops=c), train_cases, tmp_path, validation=train_cases), 4)
        for c in (crops, changed)
    ]
    assert all(torch.equal(a.x0, b.x0) and torch.equal(m, n) for (a, m), (b, n) in zip(*made, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"zoom": (0.0, 1.0)},
        {"zoom": (1.2, 1.1)},
        {"mirrored": (("leg", 0.5),)},
        {"mirrored": (("chest", 1.5),)},
        {"hu_gain": -0.1},
        {"partial": -1.0},
        {"target": "thick-ct", "mirrored": (("chest", 0.5),)},
    ],
)
def test_changes_that_cannot_be_made(settings):
    with pytest.raises(InputError):
        CropConfig(**settings)
