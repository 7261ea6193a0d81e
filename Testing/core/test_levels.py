"""The levels of one image at inference are those of the training's crops: position and anatomy to the last digit."""

import numpy as np
import pytest
import torch

from MedDiffFMLib.anatomy.regions import ABDOMEN
from MedDiffFMLib.inference.levels import is_finer, level_of, resample
from MedDiffFMLib.networks.condition_encoding import ConditionEncoding
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import draw_crop
from MedDiffFMTraining.data.store import Case, CaseFacts, write_case

PATCH = 16


def make_case(folder, shape, spacing) -> Case:
    """A case of labels that differ from voxel to voxel."""
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 122, shape).astype(np.uint8)
    facts = CaseFacts("case", "case", "abdomen", spacing, 0.0, True)
    write_case(folder, "train", facts, rng.integers(-100, 200, shape), labels)
    return Case(folder / "train" / "case")


def draws(case, level, count=60):
    """Training crops of one level with all organs and their place."""
    share = {"image": (1, 0, 0, 0), "double": (0, 1, 0, 0), "patch": (0, 0, 1, 0)}[level]
    config = CropConfig(patch=(PATCH,) * 3, levels=share, keep_organs=1.0, keep_position=1.0)
    rng = np.random.default_rng(1)
    return [draw_crop(rng, [case], config) for _ in range(count)]


@pytest.mark.parametrize("shape", [(40, 37, 52), (12, 30, 16)])
def test_the_image_level_is_the_trainings(tmp_path, shape):
    """Also where the image is smaller than the patch, and where it does not divide by it."""
    case = make_case(tmp_path, shape, (2.5, 1.0, 1.0))
    crop = draws(case, "image", 1)[0]
    level = level_of("image", shape, case.facts.spacing, PATCH)
    position, anatomy = level.conditions(np.asarray(case.labels), ABDOMEN.index, ConditionEncoding()).tile(
        (0, 0, 0), level.shape
    )
    expected_position, expected_anatomy = crop.codes(ConditionEncoding())
    torch.testing.assert_close(position, expected_position, atol=1e-5, rtol=0)
    torch.testing.assert_close(anatomy, expected_anatomy)


@pytest.mark.parametrize(("level_name", "spacing"), [("double", 1.0), ("double", 0.5), ("patch", 1.0), ("patch", 0.5)])
def test_windows_of_the_other_levels_are_the_trainings(tmp_path, level_name, spacing):
    """Wherever a training crop lies on the level's grid, the window there has its position and anatomy."""
    step = round({"double": 2, "patch": 1}[level_name] / spacing)
    shape = (PATCH * step, PATCH * step, (PATCH + 3) * step)
    case = make_case(tmp_path, shape, (spacing,) * 3)
    level = level_of(level_name, shape, case.facts.spacing, PATCH)
    assert level.shape == (PATCH, PATCH, PATCH + 3) and level.step == (step,) * 3
    conditions = level.conditions(np.asarray(case.labels), ABDOMEN.index, ConditionEncoding())
    met = set()
    for crop in draws(case, level_name):
        first = (float(crop.axes[0][0]) + 1) * (shape[2] - 1) / 2  # the first sample's voxel along x
        start = (first - step / 2 + 0.5) / step
        if abs(start - round(start)) > 1e-9:
            continue
        met.add(round(start))
        position, anatomy = conditions.tile((0, 0, round(start)), (PATCH,) * 3)
        torch.testing.assert_close(position, crop.codes(ConditionEncoding())[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(anatomy, crop.codes(ConditionEncoding())[1])
    assert met >= {0, 3}


def test_levels_are_never_finer_than_the_image():
    """5 mm slices stay 5 mm; 0.8 mm pixels become 1 and 2 mm: 100 × 0.8 = 80 mm."""
    patch = level_of("patch", (40, 100, 100), (5.0, 0.8, 0.8), 64)
    assert patch.shape == (40, 80, 80) and patch.step == (1.0, 1.25, 1.25) and patch.offset == (0.0, 0.125, 0.125)
    double = level_of("double", (40, 100, 100), (5.0, 0.8, 0.8), 64)
    assert double.shape == (40, 40, 40) and double.step == (1.0, 2.5, 2.5)
    image = level_of("image", (40, 100, 100), (5.0, 0.8, 0.8), 64)
    assert image.shape == (64, 64, 64) and image.offset == (-0.1875, 0.28125, 0.28125)
    assert is_finer(patch, double) and is_finer(patch, image) and not is_finer(double, patch)
    assert not is_finer(double, image)  # 64 samples over 80 mm: the image level has 1.25 mm


def test_an_image_resampled_between_levels_stays_in_its_place():
    """A linear ramp comes back as itself wherever its samples lie within those of the coarser level."""
    whole = (40, 36, 50)
    own = level_of("own", whole, (1.0, 1.0, 1.0), 0)
    ramp = sum(w * c for w, c in zip((1.0, 10.0, 100.0), np.indices(whole).astype(float), strict=True))
    ramp = torch.from_numpy(ramp)
    for name in ("image", "double", "patch"):
        level = level_of(name, whole, (1.0, 1.0, 1.0), 16)
        there = resample(ramp, own, level)
        assert there.shape == level.shape
        first = sum(w * o for w, o in zip((1.0, 10.0, 100.0), level.offset, strict=True))
        assert there[0, 0, 0] == pytest.approx(first)
        back = resample(there, level, own)
        torch.testing.assert_close(back[2:-2, 2:-2, 2:-2], ramp[2:-2, 2:-2, 2:-2])
