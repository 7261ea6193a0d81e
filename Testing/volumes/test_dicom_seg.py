"""A DICOM SEG, as highdicom writes it from a tilted series, is read as the label map it was made of."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy.label_maps.lesion_reading import read_lesion_mask
from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_volume

from .test_dicom import write_series

highdicom = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")


def headers(folder):
    """The slices' headers in any order, with what the DICOM writer of the tests leaves out."""
    found = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    for one in found:
        one.StudyInstanceUID, one.FrameOfReferenceUID = "1.2.3.99", "1.2.3.98"
        for name in ("PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"):
            setattr(one, name, "")
        one.AccessionNumber, one.ReferringPhysicianName, one.SliceThickness = "", "", 2.5
    return found


def description(number, name):
    tissue = highdicom.sr.coding.CodedConcept("85756007", "SCT", "Tissue")
    return highdicom.seg.SegmentDescription(number, name, tissue, tissue, "MANUAL")


def write_seg(path, slices, masks, names, kind="BINARY", descriptions=None):
    """masks: bool (slices, rows, columns, segments), in the order of the slices' headers."""
    segmentation = highdicom.seg.Segmentation(
        source_images=slices,
        pixel_array=masks.astype(np.uint8 if kind == "BINARY" else np.float32),
        segmentation_type=kind,
        segment_descriptions=descriptions or [description(i, name) for i, name in enumerate(names, 1)],
        series_instance_uid="1.2.3.50",
        series_number=50,
        sop_instance_uid="1.2.3.51",
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
    )
    segmentation.save_as(path)


@pytest.fixture
def series(ct, tmp_path):
    return write_series(ct, tmp_path / "ct")


def test_a_seg_lies_where_its_series_lies(series, ct, tmp_path):
    """Bone-bright voxels of the file's own pixels, called Aorta, and soft tissue, called Right kidney, in some slices
    only: SEG files leave empty slices out.
    """
    slices = headers(series)
    hu = np.stack([one.pixel_array.astype(int) - 1024 for one in slices])
    masks = np.stack([hu > 150, (hu > -100) & (hu <= 150)], axis=-1)
    volume = read_volume(series)
    normal = np.cross(*np.reshape([float(v) for v in slices[0].ImageOrientationPatient], (2, 3)))
    along = [float(np.dot([float(v) for v in one.ImagePositionPatient], normal)) for one in slices]
    empty = np.argsort(along)[[0, 1, 17, 18, 19]]
    masks[empty] = False
    write_seg(tmp_path / "organs.dcm", slices, masks, ["Aorta", "Right kidney"])
    expected = np.where(volume.voxels > 150, 52, np.where(volume.voxels > -100, 2, 0)).astype(np.uint8)
    expected[[0, 1, 17, 18, 19]] = 0
    anatomy = read_anatomy(tmp_path / "organs.dcm", like=volume)
    assert (expected == 52).sum() > 100 and (expected == 2).sum() > 100
    assert np.array_equal(anatomy.voxels, expected)


def test_names_of_no_organ_and_folders_without_seg_are_refused(series, tmp_path):
    slices = headers(series)
    masks = np.stack([one.pixel_array > 1024 for one in slices])[..., None]
    write_seg(tmp_path / "a.dcm", slices, masks, ["lesion"])
    with pytest.raises(InputError, match=r"names no organ.*'lesion'"):
        read_anatomy(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="holds no segmentation"):
        read_anatomy(series)
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:3000])
    with pytest.raises(InputError, match=r"cut\.dcm"):
        read_anatomy(tmp_path / "cut.dcm")


@pytest.fixture
def scene(series):
    """The slices' headers, their HU, and the volume that they are."""
    slices = headers(series)
    return slices, np.stack([one.pixel_array.astype(int) - 1024 for one in slices]), read_volume(series)


def test_overlapping_segments_keep_the_smaller_organ_whole(scene, tmp_path):
    """Aorta within heart, the larger one with the higher number; only their own slices are in the file."""
    slices, hu, volume = scene
    masks = np.stack([hu > 150, hu > -100], axis=-1)
    write_seg(tmp_path / "a.dcm", slices, masks, ["Aorta", "Heart"])
    anatomy = read_anatomy(tmp_path / "a.dcm", like=volume)
    expected = np.where(volume.voxels > 150, 52, np.where(volume.voxels > -100, 51, 0))
    assert np.array_equal(anatomy.voxels, expected)
    assert (
        f"{np.count_nonzero(expected == 52)} voxels belong to several organs (heart and aorta)" in anatomy.warnings[0]
    )


def test_a_fractional_segmentation_counts_from_one_half(scene, tmp_path):
    slices, hu, volume = scene
    masks = np.where(hu > 150, 0.8, np.where(hu > -100, 0.3, 0))[..., None]
    write_seg(tmp_path / "a.dcm", slices, masks, ["Aorta"], "FRACTIONAL")
    anatomy = read_anatomy(tmp_path / "a.dcm", like=volume)
    assert np.array_equal(anatomy.voxels, np.where(volume.voxels > 150, 52, 0))
    assert "fractional segmentation: voxels count from one half on" in anatomy.warnings[0]


def test_a_code_tells_what_the_label_does_not(scene, tmp_path):
    code = highdicom.sr.coding.CodedConcept
    kidney = highdicom.seg.SegmentDescription(
        1, "Segment 1", code("123037004", "SCT", "Anatomical Structure"), code("64033007", "SCT", "Kidney"), "MANUAL"
    )
    side = pydicom.Dataset()
    side.CodeValue, side.CodingSchemeDesignator, side.CodeMeaning = "7771000", "SCT", "Left"
    kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    slices, hu, volume = scene
    write_seg(tmp_path / "a.dcm", slices, (hu > 150)[..., None], [], descriptions=[kidney])
    anatomy = read_anatomy(tmp_path / "a.dcm", like=volume)
    assert np.array_equal(anatomy.voxels, np.where(volume.voxels > 150, 3, 0))
    assert "'Segment 1' counts as kidney_left" in anatomy.warnings[0]


def test_a_file_without_preamble_several_files_and_contours(scene, tmp_path):
    slices, hu, volume = scene
    folder = tmp_path / "segs"
    folder.mkdir()
    write_seg(folder / "a.dcm", slices, (hu > 150)[..., None], ["Aorta"])
    whole = (folder / "a.dcm").read_bytes()
    (folder / "b.dcm").write_bytes(whole)
    with pytest.raises(InputError, match=r"holds 2 segmentations \(a\.dcm, b\.dcm\).*give the file of one"):
        read_anatomy(folder)
    (folder / "b.dcm").unlink()
    (folder / "a.dcm").write_bytes(whole[132:])
    assert np.array_equal(read_anatomy(folder, like=volume).voxels, np.where(volume.voxels > 150, 52, 0))
    contours = slices[0]
    contours.Modality = "RTSTRUCT"
    contours.save_as(tmp_path / "contours.dcm")
    with pytest.raises(InputError, match=r"contours \(RT structure set, contours\.dcm\).*DICOM SEG"):
        read_anatomy(tmp_path / "contours.dcm")


def test_a_lesion_mask_from_a_seg_with_its_organ(scene, tmp_path):
    slices, hu, volume = scene
    masks = np.stack([hu > -100, hu > 150], axis=-1)
    write_seg(tmp_path / "a.dcm", slices, masks, ["Heart", "Nodule"])
    mask = read_lesion_mask(tmp_path / "a.dcm", like=volume)
    assert np.array_equal(mask.voxels > 0, volume.voxels > 150)
    assert "the lesion is Nodule; the organs in it (Heart) are left out" in mask.warnings[0]


def test_without_highdicom_it_says_what_to_install(scene, tmp_path, monkeypatch):
    import sys

    slices, hu, _ = scene
    write_seg(tmp_path / "a.dcm", slices, (hu > 150)[..., None], ["Aorta"])
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(
        InputError, match=r"a\.dcm may be DICOM SEG: reading it needs the package highdicom: install it"
    ):
        read_anatomy(tmp_path / "a.dcm")
