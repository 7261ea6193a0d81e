"""TotalSegmentator's usual output, a folder with one mask an organ: what nibabel wrote is read as anatomy."""

import nibabel
import numpy as np
import pytest

from MedDiffFMLib.anatomy.classes import ORGANS
from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.errors import InputError

GALLBLADDER, LIVER, COLON, LUNG, BODY = 4, 5, 20, 119, 118
AFFINE = np.diag([-3.0, -3.0, 3.0, 1.0])


def write_mask(path, *box, value=1, affine=AFFINE, shape=(24, 20, 16)):
    """A mask with boxes ((x0, x1), (y0, y1), (z0, z1)), or an empty one."""
    voxels = np.zeros(shape, np.uint8)
    for one in box:
        voxels[tuple(slice(*ends) for ends in one)] = value
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return voxels


@pytest.fixture
def folder(tmp_path):
    """117 files as TotalSegmentator writes them, most of them empty."""
    (tmp_path / "segmentations").mkdir()
    for number in range(1, 118):
        write_mask(tmp_path / "segmentations" / f"{ORGANS[number]}.nii.gz")
    return tmp_path / "segmentations"


def test_every_file_becomes_its_class(folder):
    liver = write_mask(folder / "liver.nii.gz", ((2, 12), (2, 12), (2, 12)))
    colon = write_mask(folder / "colon.nii.gz", ((13, 20), (2, 12), (2, 12)), value=255)
    (folder / "statistics.json").write_text('{"liver": {"volume": 27000, "intensity": 50}}', encoding="utf-8")
    (folder / "._liver.nii.gz").write_bytes(b"\0\5\x16\7Mac OS X" + b"\0" * 4000)
    anatomy = read_anatomy(folder)
    expected = np.where(liver > 0, LIVER, np.where(colon > 0, COLON, 0))
    assert np.array_equal(anatomy.voxels, expected.transpose(2, 1, 0)) and anatomy.voxels.dtype == np.uint8
    assert anatomy.warnings == () and anatomy.as_body == 0 and anatomy.spacing == (3, 3, 3)


def test_the_smaller_of_two_organs_stays_whole_and_body_goes_below_both(folder):
    """In whatever order: `gallbladder` is read before, `body` and `lung_left` before or after."""
    liver = write_mask(folder / "liver.nii.gz", ((2, 12), (2, 12), (2, 12)))
    small = write_mask(folder / "gallbladder.nii.gz", ((10, 14), (2, 6), (2, 6)))
    body = write_mask(folder / "body.nii.gz", ((0, 24), (0, 20), (0, 16)))
    lung = write_mask(folder / "lung_left.nii.gz", ((2, 4), (2, 12), (2, 14)))
    anatomy = read_anatomy(folder)
    expected = np.select([small > 0, liver > 0, lung > 0, body > 0], [GALLBLADDER, LIVER, LUNG, BODY])
    assert np.array_equal(anatomy.voxels, expected.transpose(2, 1, 0))
    (sentence,) = anatomy.warnings
    assert "32 voxels belong to several organs (gallbladder and liver); the smaller organ has them" in sentence


def test_unknown_names_become_body_and_images_are_left_out(folder, caplog):
    liver = write_mask(folder / "liver.nii.gz", ((2, 12), (2, 12), (2, 12)))
    lesion = write_mask(folder / "liver_lesions.nii.gz", ((9, 15), (2, 6), (2, 6)))
    write_mask(folder / "lung_vessels.nii.gz")
    image = np.arange(24 * 20 * 16, dtype=np.int16).reshape(24, 20, 16) - 1000
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), folder / "ct.nii.gz")
    anatomy = read_anatomy(folder)
    expected = np.where(liver > 0, LIVER, np.where(lesion > 0, BODY, 0))
    assert np.array_equal(anatomy.voxels, expected.transpose(2, 1, 0)) and anatomy.as_body == 1
    assert "ct.nii.gz left out" in anatomy.warnings[0] and "called liver_lesions" in anatomy.warnings[1]
    assert "ct.nii.gz left out" in caplog.text


def test_masks_on_other_grids_are_refused_by_name(folder):
    shifted = AFFINE.copy()
    shifted[0, 3] = 3
    write_mask(folder / "colon.nii.gz", ((2, 12), (2, 12), (2, 12)), affine=shifted)
    with pytest.raises(InputError, match=r"different grids: colon\.nii\.gz and \w+\.nii\.gz differ"):
        read_anatomy(folder)
    write_mask(folder / "colon.nii.gz", shape=(24, 20, 15))
    with pytest.raises(InputError, match=r"different grids: colon\.nii\.gz"):
        read_anatomy(folder)


def test_a_label_map_among_masks_a_misspelled_file_and_a_damaged_one_are_refused(folder):
    write_mask(folder / "livr.nii.gz", ((2, 12), (2, 12), (2, 12)))
    with pytest.raises(InputError, match=r"names a label 'livr': did you mean liver\?"):
        read_anatomy(folder)
    (folder / "livr.nii.gz").unlink()
    (folder / "liver.nii.gz").write_bytes((folder / "liver.nii.gz").read_bytes()[:60])
    with pytest.raises(InputError, match=r"liver\.nii\.gz"):
        read_anatomy(folder)
    voxels = write_mask(folder / "liver.nii.gz", ((2, 12), (2, 12), (2, 12)))
    voxels[3:5, 3:5, 3:5] = 2
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), folder / "liver.nii.gz")
    with pytest.raises(InputError, match=r"liver\.nii\.gz holds 2 labels, and a folder of organs has one mask a file"):
        read_anatomy(folder)


def test_a_folder_without_organs_says_what_it_holds(tmp_path):
    write_mask(tmp_path / "tumor.nii.gz", ((2, 12), (2, 12), (2, 12)))
    with pytest.raises(InputError, match=r"no mask that is named after an organ, only tumor: .*liver\.nii\.gz"):
        read_anatomy(tmp_path)
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "segmentations").mkdir()
    write_mask(tmp_path / "case" / "segmentations" / "liver.nii.gz", ((2, 12), (2, 12), (2, 12)))
    image = np.arange(24 * 20 * 16, dtype=np.int16).reshape(24, 20, 16) - 1000
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), tmp_path / "case" / "ct.nii.gz")
    with pytest.raises(InputError, match=r"only ct\.nii\.gz.*give the folder segmentations in it"):
        read_anatomy(tmp_path / "case")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no segmentation.*a folder with organs' masks"):
        read_anatomy(tmp_path / "empty")


def test_files_of_a_case_have_its_name_before(tmp_path):
    liver = write_mask(tmp_path / "s0001_liver.nii.gz", ((2, 12), (2, 12), (2, 12)))
    write_mask(tmp_path / "s0001_kidney_left.nii.gz")
    assert np.array_equal(read_anatomy(tmp_path).voxels, np.where(liver > 0, LIVER, 0).transpose(2, 1, 0))
