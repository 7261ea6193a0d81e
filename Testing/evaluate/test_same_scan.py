"""Two files that cannot be one scan are refused, before a figure is made of them."""

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.data.same_scan import LEAST_LIKENESS, check_doses, likeness
from MedDiffFMTraining.evaluate.cases.anatomy_condition import AnatomyCondition
from MedDiffFMTraining.evaluate.cases.case_list import ListedCase
from MedDiffFMTraining.evaluate.cases.dose_pairs import read_dose_pair
from MedDiffFMTraining.evaluate.cases.slice_pairs import real_pair


def noisy(hu, sigma):
    return np.rint(hu + np.random.default_rng(0).normal(0, sigma, hu.shape)).astype(np.int16)


def pair_of(folder, low, full, like):
    for name, hu in (("low", low), ("full", full)):
        sitk.WriteImage(like.with_voxels(hu).to_sitk(), str(folder / f"{name}.nii.gz"))
    files = {name: folder / f"{name}.nii.gz" for name in ("low", "full")}
    return read_dose_pair(ListedCase("one", "chest", files), AnatomyCondition("auto"))


def test_two_doses_of_a_scan_are_alike_and_its_negative_is_not(chest):
    """Even at three times the noise of a low dose, and in soft tissue alone."""
    hu = chest.voxels
    assert likeness(hu, noisy(hu, 100)) > 0.95
    assert likeness(hu, -hu) < -0.5 < LEAST_LIKENESS
    heart = hu[:, 40:80, 30:70]
    assert likeness(heart, noisy(heart, 100)) > LEAST_LIKENESS
    assert likeness(np.zeros((2, 8, 8)), heart[:2, :8, :8]) == 1.0  # nothing can be said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: (noisy(-hu, 30), hu), r"do not show the same \(correlation -"),
        (lambda hu: (hu, noisy(hu, 40)), "less noise .* were the two files swapped"),
    ],
)
def test_a_turned_sign_and_swapped_doses_are_refused(chest, tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        pair_of(tmp_path, *change(chest.voxels), chest)


def test_a_right_pair_is_taken_with_its_noise(chest, tmp_path):
    assert 30 < pair_of(tmp_path, noisy(chest.voxels, 40), chest.voxels, chest).sigma_hu < 60


def test_doses_are_compared_only_where_both_can_be_measured():
    check_doses(None, 20.0, "a and b")
    check_doses(20.0, 21.0, "a and b")
    with pytest.raises(InputError, match=r"a and b: the low dose has less noise \(20\.0 HU\)"):
        check_doses(20.0, 23.0, "a and b")


def test_thick_slices_of_another_sign_are_refused(chest):
    """Four thin slices a thick one: the means of the scan itself are taken, those of its negative are not."""
    thin = Volume(chest.voxels, (1.5, 1.5, 1.0), source="thin")
    means = chest.voxels.reshape(3, 4, *chest.voxels.shape[1:]).mean(axis=1)
    thick = Volume(means.astype(np.float32), (1.5, 1.5, 4.0), (0.0, 0.0, 1.5), source="thick")
    assert real_pair(thick, thin, "chest").factor == 4
    with pytest.raises(InputError, match="thick and the means of its thin slices do not show the same"):
        real_pair(thick.with_voxels(-thick.voxels), thin, "chest")
