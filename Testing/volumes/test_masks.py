"""Masks on another grid, without a header, between slices, or that are none: what is lost is said, or it is refused."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.anatomy.lesion_masks import lesion_voxels
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import as_labels, read_labels, resample_labels_to, write_volume

from .conftest import GRIDS


@pytest.fixture
def placed(ct):
    """The crop where a scanner puts it, 1.5 mm, with a lesion of 4 × 6 × 8 voxels (0.648 ml)."""
    return replace(ct, origin=(-37.5, -210.0, 610.0), source="ct.nii.gz")


@pytest.fixture
def lesion(placed):
    voxels = np.zeros(placed.voxels.shape, np.uint8)
    voxels[5:9, 10:16, 30:38] = 1
    return replace(placed, voxels=voxels, source="mask.nii.gz")


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1, -1, 1, 1]), np.diag([1.5, 1.5, 1.5, 1])])
@pytest.mark.parametrize("order", [(2, 1, 0), (0, 1, 2)])
def test_a_mask_that_lost_its_header_is_refused(placed, lesion, tmp_path, affine, order):
    """As programs save an array: identity, or spacing alone; in either order of the axes."""
    nibabel.save(nibabel.Nifti1Image(lesion.voxels.transpose(order), affine), tmp_path / "lost.nii.gz")
    with pytest.raises(InputError, match=r"as many voxels as ct\.nii\.gz but lies elsewhere.*header was lost"):
        read_labels(tmp_path / "lost.nii.gz", placed)


def test_a_mask_without_any_header_is_refused(lesion, placed, tmp_path):
    nibabel.save(nibabel.Nifti1Image(lesion.voxels.T, None), tmp_path / "none.nii.gz")
    with pytest.raises(InputError, match="where its axes point"):
        read_labels(tmp_path / "none.nii.gz", placed)


@pytest.mark.parametrize("shift", [2.0, -40.0])
def test_a_mask_that_was_moved_is_refused(placed, lesion, shift):
    moved = replace(lesion, origin=(lesion.origin[0] + shift, *lesion.origin[1:]))
    with pytest.raises(InputError, match=f"first voxel {abs(shift):.1f} mm away"):
        resample_labels_to(moved, placed)


def test_a_mask_that_is_off_by_rounding_is_taken(placed, lesion):
    moved = replace(lesion, origin=(lesion.origin[0] + 0.05, *lesion.origin[1:]))
    got = resample_labels_to(moved, placed)
    assert np.array_equal(got.voxels, lesion.voxels) and got.warnings == ()


@pytest.mark.parametrize("code", ["RAS", "LPI", "PSR", "ALI"])
def test_a_mask_in_another_order_of_axes_lies_where_it_did(placed, lesion, code, tmp_path):
    sitk.WriteImage(sitk.DICOMOrient(lesion.to_sitk(), code), str(tmp_path / "turned.nii.gz"))
    got = read_labels(tmp_path / "turned.nii.gz", placed)
    assert np.array_equal(got.voxels, lesion.voxels) and got.warnings == ()


@pytest.mark.parametrize("grid", GRIDS)
def test_what_resampling_changed_is_said_with_both_volumes(placed, lesion, grid):
    """A mask at half the spacing, so 0.75 mm: 8 × 12 × 16 voxels of 0.42 mm³ are the same 0.648 ml."""
    direction = tuple(GRIDS[grid].ravel())
    placed, lesion = replace(placed, direction=direction), replace(lesion, direction=direction)
    fine = lesion.voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    shift = np.reshape(direction, (3, 3)) @ np.full(3, -0.375)
    mask = replace(lesion, voxels=fine, spacing=(0.75,) * 3, origin=tuple(lesion.origin + shift))
    got = resample_labels_to(mask, placed)
    assert np.array_equal(got.voxels, lesion.voxels) and got.resampled
    (sentence,) = got.warnings
    assert sentence.startswith("mask.nii.gz has another grid than ct.nii.gz") and sentence.endswith("0.648 ml.")
    assert "0.648 ml became" in sentence


def test_how_much_of_a_mask_lies_outside_is_said(placed, lesion):
    """The CT cut in the lesion: 3 of its 8 columns are left, 62.5 % are lost."""
    part = replace(placed, voxels=placed.voxels[:, :, :33])
    (sentence,) = resample_labels_to(lesion, part).warnings
    assert "0.648 ml became 0.243 ml, 62 % of it lie outside." in sentence


def test_a_lesion_between_slices_is_said_as_it_is(placed, lesion):
    thick = replace(placed, voxels=placed.voxels[::6], spacing=(1.5, 1.5, 9.0))
    between = lesion.with_voxels(np.zeros_like(lesion.voxels))
    between.voxels[8:10, 20:22, 30:32] = 1  # slices 8 and 9 of 1.5 mm: 12 to 13.5 mm up, and the CT's are at 9 and 18
    with pytest.raises(InputError, match=r"No slice of ct\.nii\.gz passes through .*0.027 ml.* 9 mm apart"):
        resample_labels_to(between, thick)
    outside = replace(between, voxels=between.voxels[5:], origin=(900.0, 0.0, 0.0))
    with pytest.raises(InputError, match=r"lie outside of ct\.nii\.gz"):
        resample_labels_to(outside, thick)


def test_255_is_a_lesion_and_nothing_is_none(placed, lesion):
    white = as_labels(lesion.with_voxels(lesion.voxels.astype(np.float32) * 255))
    assert lesion_voxels(white, placed).sum() == 4 * 6 * 8
    with pytest.raises(InputError, match="is empty"):
        lesion_voxels(as_labels(lesion.with_voxels(lesion.voxels * np.uint8(0))), placed)


@pytest.mark.parametrize(
    ("values", "word"),
    [([0, 0.3, 0.9], "holds probabilities"), ([0, -1, 1], "-1 to 1"), ([0, np.nan, 1], "1 voxels that are NaN"),
     ([0, 1.5, 3], "whole numbers"), ([0, 1, 70000], "70000"), ([0, np.inf, 1], "inf")],
)  # fmt: skip
def test_values_that_are_no_labels(values, word, placed, tmp_path):
    voxels = np.zeros((4, 5, 6), np.float32)
    voxels[1, 1, :3] = values
    write_volume(replace(placed, voxels=voxels), tmp_path / "x.nrrd")
    with pytest.raises(InputError, match=r"x\.nrrd") as caught:
        read_labels(tmp_path / "x.nrrd")
    assert word in str(caught.value)
