"""A DICOM SEG, as highdicom writes it from a tilted series, is read as the label map it was made of."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy_io import read_anatomy
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volume_io import read_volume

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


def write_seg(path, slices, masks, names):
    """masks: bool (slices, rows, columns, segments), in the order of the slices' headers."""
    segmentation = highdicom.seg.Segmentation(
        source_images=slices,
        pixel_array=masks.astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[description(i, name) for i, name in enumerate(names, 1)],
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
