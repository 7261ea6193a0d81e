"""Label maps without names: masks of one organ, numbers of other programs, values as they are stored."""

import json

import nibabel
import numpy as np
import pytest

from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_volume

from .test_names_beside import block, write_map

SPLEEN, KIDNEY_RIGHT, LIVER, LUNG_UPPER_LEFT, COLON, HEART, AORTA = 1, 2, 5, 10, 20, 51, 52


@pytest.mark.parametrize("value", [1, 255, 20])
def test_a_mask_takes_its_class_from_the_file_s_name(tmp_path, value):
    anatomy = read_anatomy(write_map(tmp_path / "colon.nii.gz", (value,)))
    assert block(anatomy, 0) == COLON and np.count_nonzero(anatomy.voxels) == 500 and anatomy.warnings == ()


@pytest.mark.parametrize(
    "name",
    ["s0001_colon.nii.gz", "colon_mask.nii.gz", "Colon-label.nii.gz", "case_7_colon_seg.nii.gz", "CT1_colon.nii"],
)
def test_a_case_s_number_in_its_name_is_no_matter_and_said(tmp_path, name):
    anatomy = read_anatomy(write_map(tmp_path / name, (1,)))
    assert block(anatomy, 0) == COLON and "taken for colon by the file's name" in anatomy.warnings[0]


@pytest.mark.parametrize(
    "name",
    [
        "mask.nii.gz",
        "case_001.nii.gz",
        "liver_tumor.nii.gz",
        "tumor_liver.nii.gz",
        "liver.tumor.nii.gz",
        "no_liver.nii.gz",
        "liver_001.nii.gz",
        "lung_vessels.nii.gz",
    ],
)
@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_named_after_nothing_is_never_the_spleen(tmp_path, name, value):
    with pytest.raises(InputError, match=r"holds one mask and no name, so which organ.*liver\.nii\.gz.*\.json"):
        read_anatomy(write_map(tmp_path / name, (value,)))


def test_a_mask_of_another_number_than_its_name_s_says_so(tmp_path):
    anatomy = read_anatomy(write_map(tmp_path / "colon.nii.gz", (7,)))
    assert block(anatomy, 0) == COLON
    assert "holds label 7 (pancreas in TotalSegmentator), taken for colon" in anatomy.warnings[0]


def test_several_labels_in_a_file_named_after_another_organ_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"named after the liver but holds 2 labels.*\(5\).*liver\.json"):
        read_anatomy(write_map(tmp_path / "liver.nii.gz", (1, 2)))


def test_a_mask_s_name_and_its_folder_s_names_that_differ_are_refused(tmp_path):
    (tmp_path / "labels.json").write_text('{"1": "spleen", "2": "liver"}', encoding="utf-8")
    with pytest.raises(
        InputError, match=r"named after the colon, but labels\.json beside it calls its label 1 'spleen'"
    ):
        read_anatomy(write_map(tmp_path / "colon.nii.gz", (1,)))


def test_numbers_without_names_are_taken_for_totalsegmentators_and_said(tmp_path):
    anatomy = read_anatomy(write_map(tmp_path / "organs.nii.gz", (LIVER, SPLEEN)))
    assert [block(anatomy, 0), block(anatomy, 1)] == [LIVER, SPLEEN]
    assert "(1 spleen, 5 liver)" in anatomy.warnings[0] and len(anatomy.warnings) == 1


@pytest.mark.parametrize(("numbers", "word"), [((1, 3, 200), "MAISI"), ((5, 132), "MAISI"), ((5, 150), "up to 150")])
def test_numbers_beyond_the_classes_are_refused(tmp_path, numbers, word):
    with pytest.raises(InputError, match=rf"without names.*{word}|{word} without names"):
        read_anatomy(write_map(tmp_path / "organs.nii.gz", numbers))


def test_maisis_numbers_are_read_by_its_names(tmp_path):
    names = {"liver": 1, "dummy1": 2, "spleen": 3, "right kidney": 5, "bladder": 15, "left lung upper lobe": 28}
    (tmp_path / "organs.json").write_text(json.dumps(names | {"body": 200}), encoding="utf-8")
    anatomy = read_anatomy(write_map(tmp_path / "organs.nii.gz", (1, 3, 5, 15, 28, 200)))
    assert [block(anatomy, i) for i in range(6)] == [LIVER, SPLEEN, KIDNEY_RIGHT, 21, LUNG_UPPER_LEFT, 118]
    assert anatomy.warnings == ()


def write_boxes(path, boxes, mm=5.0, dtype=np.uint8):
    """A NIfTI (RAS, the middle of the patient at x = 0) with boxes {number: (right mm, size mm)} beside each other."""
    voxels = np.zeros((100, 60, 60), dtype)
    for i, (number, (x, size)) in enumerate(boxes.items()):
        n, first = round(size / mm), 50 + round(x / mm)  # voxel x grows to the patient's right in this affine's inverse
        voxels[first - n // 2 : first - n // 2 + n, 2 + 10 * i : 12 + 10 * i, 2 : 2 + n] = number
    affine = np.array([[mm, 0, 0, -50 * mm], [0, mm, 0, 0], [0, 0, mm, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        # MAISI's left lung, 28, has 50 × 180 × 180 mm: a vertebra has not
        ({28: (-60, 180), 32: (60, 180)}, r"label 28 has \d+ ml and would be vertebrae_L4"),
        # TotalSegmentator 1: 57 is the colon, in version 2 a carotid artery
        ({5: (60, 100), 57: (0, 100)}, r"label 57 has \d+ ml and would be common_carotid_artery_right"),
        # MAISI: 1 is the liver, 14 the left kidney
        ({1: (50, 100), 14: (-60, 40)}, "label 1 would be spleen and lies to the right of label 14"),
    ],
)
def test_numbers_that_no_patient_could_have_are_refused(tmp_path, boxes, words):
    with pytest.raises(InputError, match=f"not those of TotalSegmentator 2: {words}"):
        read_anatomy(write_boxes(tmp_path / "organs.nii.gz", boxes))


def test_organs_of_either_side_are_where_they_belong(tmp_path):
    """Kidneys, spleen and liver as they lie; and the names of a mirrored map are believed."""
    boxes = {1: (-60, 60), 2: (60, 50), 3: (-60, 50), 5: (50, 100)}
    assert set(np.unique(read_anatomy(write_boxes(tmp_path / "a.nii.gz", boxes)).voxels)) == {0, 1, 2, 3, 5}


@pytest.mark.parametrize("named", [False, True])
def test_lungs_of_other_numbers_are_seen_in_the_ct(tmp_path, data, named):
    """The aorta's label map with the numbers 10 (a lung lobe) for heart and 5 (liver) for air of the chest."""
    ct = read_volume(data / "chest_ts_aorta.nii.gz")
    image = nibabel.load(data / "chest_ts_aorta.nii.gz")
    hu = np.asarray(image.dataobj)
    voxels = np.where(hu < -800, 5, 0).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), tmp_path / "organs.nii.gz")
    if not named:
        with pytest.raises(InputError, match=r"read with TotalSegmentator's numbers the liver lies in air or lung"):
            read_anatomy(tmp_path / "organs.nii.gz", like=ct)
        voxels = np.where((hu > 0) & (hu < 100), 10, 0).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(voxels, image.affine), tmp_path / "organs.nii.gz")
        with pytest.raises(InputError, match="the lungs lie in soft tissue"):
            read_anatomy(tmp_path / "organs.nii.gz", like=ct)
    else:
        (tmp_path / "organs.json").write_text('{"liver": 5}', encoding="utf-8")
        anatomy = read_anatomy(tmp_path / "organs.nii.gz", like=ct)
        assert "may not be of this CT: the liver lies in air or lung" in anatomy.warnings[0]


def test_the_repository_s_own_maps_are_plausible(tmp_path, data):
    """Both, without their names."""
    for name, numbers in (("abd_ts_example", None), ("chest_ts_aorta", {6: AORTA, 1: HEART})):
        image = nibabel.load(data / f"{name}_seg.nii.gz")
        voxels = np.asarray(image.dataobj).astype(np.uint8)
        if numbers:
            voxels = np.select([voxels == n for n in numbers], list(numbers.values()), 0).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(voxels, image.affine), tmp_path / f"{name}.nii.gz")
        anatomy = read_anatomy(tmp_path / f"{name}.nii.gz", like=read_volume(data / f"{name}.nii.gz"))
        assert np.array_equal(anatomy.voxels, voxels.transpose(2, 1, 0)) and len(anatomy.warnings) == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, np.uint16, np.uint32, np.int32, np.int64])
def test_values_as_programs_store_them(tmp_path, dtype):
    anatomy = read_anatomy(write_map(tmp_path / "organs.nii.gz", (LIVER, SPLEEN), dtype))
    assert [block(anatomy, 0), block(anatomy, 1)] == [LIVER, SPLEEN]


def rewritten(path, change, slope=None):
    image = nibabel.load(path)
    voxels = np.asarray(image.dataobj).astype(np.float64)
    image = nibabel.Nifti1Image(change(voxels), image.affine)
    if slope:
        image.header.set_slope_inter(slope, 0)
    nibabel.save(image, path)
    return path


def test_values_next_to_whole_numbers_and_slopes(tmp_path):
    path = rewritten(write_map(tmp_path / "liver.nii.gz", (1,)), lambda v: (v * 1.0000001).astype(np.float64))
    assert block(read_anatomy(path), 0) == LIVER
    path = rewritten(write_map(tmp_path / "liver.nii.gz", (255,)), lambda v: (v / 255).astype(np.float64))
    assert block(read_anatomy(path), 0) == LIVER
    image = nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), nibabel.load(path).affine, dtype=np.uint8)
    nibabel.save(image, path)  # 0 and 1 as unsigned bytes with a slope of 1/255
    assert nibabel.load(path).dataobj.slope != 1 and block(read_anatomy(path), 0) == LIVER


def test_minus_one_is_background_and_said(tmp_path):
    path = rewritten(
        write_map(tmp_path / "organs.nii.gz", (LIVER, SPLEEN)), lambda v: np.where(v == 0, -1, v).astype("i2")
    )
    anatomy = read_anatomy(path)
    assert np.count_nonzero(anatomy.voxels) == 1000 and "holds -1, which counts as background" in anatomy.warnings[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: (v * 1.3).astype("f4"), "not a label map"),
        (lambda v: np.where(v == 0, -1024, v).astype("i2"), "not a label map"),
        (lambda v: np.where(v > 0, 70000, 0).astype("i4"), "labels up to 70000, and 65535 is the highest"),
    ],
)
def test_values_that_are_no_labels_are_refused(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        read_anatomy(rewritten(write_map(tmp_path / "organs.nii.gz", (LIVER, SPLEEN)), change))


@pytest.mark.parametrize("offset", [0, 1024])
def test_a_ct_by_mistake_is_called_an_image(tmp_path, data, offset):
    image = nibabel.load(data / "chest_ts_aorta.nii.gz")
    voxels = (np.asarray(image.dataobj).astype(np.int32) + offset).clip(-1024 + offset).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match=r"not a label map but an image.*wrong order"):
        read_anatomy(tmp_path / "ct.nii.gz")


def test_an_empty_map_is_said(tmp_path):
    anatomy = read_anatomy(write_map(tmp_path / "organs.nii.gz", ()))
    assert not anatomy.voxels.any() and "holds no labels" in anatomy.warnings[0]
