"""How a lesion looks, by hand; nnU-Net's folder and what comes back from it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.metrics.lesions import halfway_dice, measure_change, measure_lesion, rim_gradient
from MedDiffFMTraining.evaluate.tasks import nnunet

SPACING = (3.0, 2.0, 2.0)


@pytest.fixture
def cube():
    """A cube of 8 × 12 × 12 voxels of 50 HU in lung of −800 HU, and its mask."""
    lesion = np.zeros((20, 30, 30), bool)
    lesion[6:14, 9:21, 9:21] = True
    return np.where(lesion, 50.0, -800.0), lesion


def test_a_cube_in_the_lung(cube):
    hu, lesion = cube
    found = measure_lesion(hu, lesion, SPACING)
    assert found["ml"] == pytest.approx(8 * 12 * 12 * 12 / 1000)
    assert (found["hu_mean"], found["hu_sd"], found["core_mean"]) == (50, 0, 50)
    assert found["rim"] == pytest.approx(850 / 2)  # in plane alone: the slices' 3 mm do not count
    assert found["halfway_dice"] > 0.95
    half = hu.copy()
    half[:10][lesion[:10]] = -800  # only the upper half was drawn
    half[12, 9:21, 9:21] = 150
    assert measure_lesion(half, lesion, SPACING)["hu_mean"] == pytest.approx((4 * -800 + 3 * 50 + 150) / 8)


def test_the_rim_is_the_mean_of_both_directions():
    """One voxel of 10 HU in 0: two steps of 10 HU over 2 mm along x, two over 1 mm along y."""
    lesion = np.zeros((3, 3, 3), bool)
    lesion[1, 1, 1] = True
    assert rim_gradient(np.where(lesion, 10.0, 0.0), lesion, (5.0, 1.0, 2.0)) == pytest.approx((2 * 5 + 2 * 10) / 4)


def test_a_lesion_beside_the_mask_has_little_of_its_shape(cube):
    hu, lesion = cube
    assert halfway_dice(np.roll(hu, 6, axis=2), lesion, SPACING) < 0.7 < halfway_dice(hu, lesion, SPACING)
    inverted = -hu  # darker than what surrounds it, as in the liver
    assert halfway_dice(inverted, lesion, SPACING) == halfway_dice(hu, lesion, SPACING)


def test_change_inside_and_outside(cube):
    hu, lesion = cube
    before = np.full(hu.shape, -800.0)
    found = measure_change(hu, before, lesion)
    assert found == {"changed_outside": 0, "mean_change": 850, "change_dice": 1}
    hu[0, 0, :3] += 1
    hu[6:8][lesion[6:8]] = -800  # two of eight slices were left: Dice 2·6/(6 + 8)
    found = measure_change(hu, before, lesion)
    assert found["changed_outside"] == 3 and found["change_dice"] == pytest.approx(12 / 14)
    assert measure_change(before, before, lesion)["change_dice"] == 0


def test_nnunets_folder_and_what_it_found(tmp_path, cube):
    hu, lesion = cube
    ct = Volume(hu + 0.4, spacing=(2.0, 2.0, 3.0), origin=(5.0, 6.0, 7.0))
    folder, predictions = tmp_path / "raw", tmp_path / "found"
    nnunet.start_folder(folder)
    nnunet.write_case(folder, "drawn_a", ct, lesion)
    image = read_volume(folder / "imagesTs" / "drawn_a_0000.nii.gz")
    assert image.voxels.dtype == np.int16 and image.same_grid(ct) and np.array_equal(image.voxels, hu)
    facts = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert facts["labels"] == {"background": 0, "lesion": 1} and facts["channel_names"] == {"0": "CT"}
    assert facts["file_ending"] == ".nii.gz" and facts["numTraining"] == 0

    predictions.mkdir()
    with pytest.raises(InputError, match=r"has no drawn_a.nii.gz.*nnUNetv2_predict"):
        nnunet.dice_of_predictions(folder, predictions)
    half = lesion.copy()
    half[10:] = False  # 4 of 8 slices: Dice 2·4/(4 + 8)
    write_volume(replace(ct, voxels=half.astype(np.uint8)), predictions / "drawn_a.nii.gz")
    assert nnunet.dice_of_predictions(folder, predictions) == {"drawn_a": pytest.approx(2 / 3)}
    other = Volume(half[:10].astype(np.uint8))
    write_volume(other, predictions / "drawn_a.nii.gz", overwrite=True)
    with pytest.raises(InputError, match="not on the grid"):
        nnunet.dice_of_predictions(folder, predictions)
    with pytest.raises(InputError, match="not an empty folder"):
        nnunet.start_folder(folder)


def test_of_a_judge_that_knows_organs_too_only_the_lesion_counts(tmp_path, cube):
    """Of the Decathlon's livers 1 is liver, 2 is tumor: a liver that is found is no lesion that is found."""
    hu, lesion = cube
    ct, folder, predictions = Volume(hu), tmp_path / "raw", tmp_path / "found"
    nnunet.start_folder(folder)
    nnunet.write_case(folder, "a", ct, lesion)
    predictions.mkdir()
    half = lesion.copy()
    half[10:] = False
    liver = np.ones(lesion.shape, np.uint8)
    write_volume(ct.with_voxels(liver + half), predictions / "a.nii.gz")
    assert nnunet.dice_of_predictions(folder, predictions, [2]) == {"a": pytest.approx(2 / 3)}
    with pytest.raises(InputError, match="has the labels 1, 2: say with --lesion-labels which"):
        nnunet.dice_of_predictions(folder, predictions)
    write_volume(ct.with_voxels(liver), predictions / "a.nii.gz", overwrite=True)  # liver alone: 1 is no lesion
    labels = {"background": 0, "liver": 1, "cancer": 2}
    (predictions / "dataset.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    with pytest.raises(InputError, match=r"has the labels 1 \(liver\), 2 \(cancer\)"):
        nnunet.dice_of_predictions(folder, predictions)
    assert nnunet.dice_of_predictions(folder, predictions, [2]) == {"a": 0}
