"""Lesion masks in the forms that people have: layers of 3D Slicer, organs beside the lesion, values as stored."""

import nibabel
import numpy as np
import pytest

from MedDiffFMLib.anatomy.label_maps.lesion_reading import read_lesion_mask
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume

from .test_names_beside import write_map
from .test_slicer_segmentations import along_x, boxes, expected, nrrd, write


def lesion_along_x(path):
    return [int(value > 0) for value in along_x(read_lesion_mask(path))]


def segment(name, value, layer=0):
    return {"Name": name, "LabelValue": value, "Layer": layer}


def test_a_lesion_in_any_layer_counts_and_organs_do_not(tmp_path):
    layers = [boxes((1, 0, 10)), boxes((1, 4, 7))]
    path = write(tmp_path / "a.seg.nrrd", layers, [segment("liver", 1, 0), segment("HCC", 1, 1)])
    assert lesion_along_x(path) == expected((1, 4, 7))
    assert "the lesion is HCC; the organs in it (liver) are left out" in read_lesion_mask(path).warnings[0]


def test_several_lesions_count_all_and_are_named(tmp_path):
    layers = [boxes((1, 0, 10), (2, 12, 14)), boxes((1, 8, 12))]
    segments = [segment("met 1", 1, 0), segment("met 2", 2, 0), segment("met 3", 1, 1)]
    path = write(tmp_path / "a.seg.nrrd", layers, segments)
    assert lesion_along_x(path) == expected((1, 0, 14))
    assert "3 segments count as lesion, met 1, met 2, met 3" in read_lesion_mask(path).warnings[0]


def test_organs_alone_are_refused_and_one_segment_is_taken_whatever_its_name(tmp_path):
    path = write(tmp_path / "a.seg.nrrd", [boxes((1, 0, 9), (2, 9, 12))], [segment("liver", 1), segment("colon", 2)])
    with pytest.raises(InputError, match=r"holds organs \(liver, colon\) and no lesion.*wrong order"):
        read_lesion_mask(path)
    path = write(tmp_path / "b.seg.nrrd", [boxes((1, 0, 9))], [segment("liver", 1)])
    assert lesion_along_x(path) == expected((1, 0, 9))
    assert "called liver, which is an organ's name" in read_lesion_mask(path).warnings[0]


def test_nnunets_organ_with_its_tumor(tmp_path):
    """Liver 1, tumor 2 with the names of the data set: the tumor alone is the lesion."""
    (tmp_path / "labelsTr").mkdir()
    path = write_map(tmp_path / "labelsTr" / "liver_001.nii.gz", (1, 2))
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "liver": 1, "cancer": 2}}', encoding="utf-8")
    mask = read_lesion_mask(path)
    assert np.count_nonzero(mask.voxels) == 500 and mask.voxels[10, 10, 10] == 2


def test_masks_as_before_and_a_folder_s_names_are_of_its_organs(tmp_path):
    """Any number counts without a name; labels.json tells of the label maps beside the mask."""
    (tmp_path / "labels.json").write_text('{"1": "liver", "2": "spleen"}', encoding="utf-8")
    mask = read_lesion_mask(write_map(tmp_path / "mask.nii.gz", (1, 2)))
    assert set(np.unique(mask.voxels)) == {0, 1, 2} and mask.warnings == ()
    for value, dtype in ((255, np.uint8), (1, np.float64), (3, np.int64)):
        mask = read_lesion_mask(write_map(tmp_path / "mask.nii.gz", (value,), dtype))
        assert np.count_nonzero(mask.voxels) == 500, dtype


def test_an_image_a_folder_and_nothing_are_refused(tmp_path):
    image = (np.arange(30**3, dtype=np.int16) % 1000).reshape(30, 30, 30)
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match=r"not a label map but an image.*wrong order"):
        read_lesion_mask(tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match=r"folder of 1 masks \(ct\.nii\.gz\): give the file of the lesion's mask"):
        read_lesion_mask(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_lesion_mask(tmp_path / "none.nii.gz")


def test_values_in_a_vector_without_segments_are_refused_as_a_mask(tmp_path):
    axes = np.vstack([[np.nan] * 3, 2 * np.eye(3)])
    header = {"kinds": ["vector", *["domain"] * 3], "space": "left-posterior-superior", "space directions": axes}
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((3, 9, 9, 9), np.uint8), header)
    with pytest.raises(InputError, match=r"a\.nrrd has 3 values a voxel"):
        read_lesion_mask(tmp_path / "a.nrrd")


def test_a_part_of_the_grid_finds_its_place(tmp_path):
    """3D Slicer stores the box around the segments; the origin tells where it is."""
    path = write(
        tmp_path / "a.seg.nrrd", [boxes((1, 4, 7)), boxes((1, 5, 9))], [segment("a", 1, 0), segment("b", 1, 1)]
    )
    ct = Volume(np.zeros((20, 20, 40), np.int16), (2.0, 2.0, 2.0), (0.0, 10.0, 20.0))  # 5 voxels before it
    mask = read_lesion_mask(path, like=ct)
    assert mask.resampled and mask.voxels[9, 10].tolist() == [0] * 9 + [1] * 5 + [0] * 26
