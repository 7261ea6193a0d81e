"""Results of sources that anonymizers, archives and other alphabets leave: a series and a segmentation can always be
written, read back, and say whose they are as far as the source does.
"""

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.dicom.writing import check_segmentation, write_segmentation, write_series
from MedDiffFMLib.volumes.io import read_volume

from .phantom import ENHANCED, enhanced, write
from .test_dicom_out import RECORD, images, same_place

TYPE_2 = "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber".split()
TYPE_2 += ["ReferringPhysicianName"]


def without(*keywords):
    def change(ds, k):
        for keyword in keywords:
            if keyword in ds:
                delattr(ds, keyword)

    return change


def raw(**values):
    """Values as bytes, whatever the standard says of them; a name in bytes is written as it is."""

    def change(ds, k):
        for keyword, value in values.items():
            tag = Tag(pydicom.datadict.tag_for_keyword(keyword))
            vr = pydicom.datadict.dictionary_VR(tag)
            value = value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
            ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    return change


ODD = {
    "as it should be": lambda ds, k: None,
    "no birth date": without("PatientBirthDate"),
    "nothing of the patient": without(*TYPE_2),
    "empty": lambda ds, k: [setattr(ds, keyword, "") for keyword in TYPE_2] and None,
    "no study": without("StudyInstanceUID", "FrameOfReferenceUID"),
    "empty study": raw(StudyInstanceUID=b"", FrameOfReferenceUID=b""),
    "private": lambda ds, k: ds.add_new(0x00091001, "UN", b"\1\2\3") or ds.add_new(0x00091010, "LO", "X"),
    "invalid dates": raw(PatientBirthDate=b"1950-01-01", StudyDate=b"yesterday", StudyTime=b"25:99"),
    "invalid sex": raw(PatientSex=b"unknown", PatientAge=b"old"),
    "invalid numbers": raw(KVP=b"120 kV", AcquisitionNumber=b"first", WindowCenter=b"soft", SeriesNumber=b"x"),
    "invalid UIDs": raw(StudyInstanceUID=b"1.2.03.x", FrameOfReferenceUID=b"none", SOPInstanceUID=b"%d"),
    "unknown charset": raw(SpecificCharacterSet=b"ISO_IR 999", PatientName=b"M\xfcller^J\xf6rg"),
    "wrong charset": raw(SpecificCharacterSet=b"ISO_IR 192", PatientName=b"M\xfcller^J\xf6rg"),
    "no charset": raw(PatientName="Müller^Jörg".encode()),
    "Japanese": raw(
        SpecificCharacterSet=b"\\ISO 2022 IR 87",
        PatientName=b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "long": raw(PatientName=b"A" * 200 + b"^" + b"B" * 100 + b"=C=D=E=F", PatientID=b"P" * 100, StudyID=b"S" * 70),
    "carets": raw(PatientName=b"^^^^^^^=\\=^"),
}


@pytest.fixture
def odd(ct, tmp_path, request):
    change = ODD[request.param]

    def each(ds, k):
        change(ds, k)
        if request.param == "invalid UIDs":
            raw(SOPInstanceUID=b"1.2.0%d.x" % k)(ds, k)

    return write(ct, tmp_path / "ct", each, slices=range(5))


@pytest.mark.parametrize("odd", ODD, indirect=True)
def test_a_series_of_any_source(ct, odd, tmp_path, caplog):
    volume = read_volume(odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would quote the patient
        write_series(volume, tmp_path / "out", RECORD)
    assert not caplog.records
    same_place(read_volume(tmp_path / "out"), volume)
    with pydicom.config.disable_value_validation():
        one, source = images(tmp_path / "out")[3], pydicom.dcmread(odd / "001.dcm")
        for keyword in TYPE_2:
            assert keyword in one
        assert one.StudyInstanceUID and one.FrameOfReferenceUID
        for keyword in ("StudyInstanceUID", "PatientID"):
            if source.get(keyword):
                assert one[keyword].value == source[keyword].value
        assert one.SourceImageSequence[0].ReferencedSOPInstanceUID


@pytest.mark.parametrize("odd", ODD, indirect=True)
def test_a_segmentation_of_any_source(ct, odd, tmp_path, caplog):
    hd = pytest.importorskip("highdicom")
    check_segmentation(tmp_path / "mask.dcm", odd)
    volume = read_volume(odd)
    mask = volume.with_voxels((volume.voxels > 100).astype(np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_segmentation(mask, tmp_path / "mask.dcm", RECORD)
    assert not caplog.records
    with pydicom.config.disable_value_validation():
        one, source = pydicom.dcmread(tmp_path / "mask.dcm"), pydicom.dcmread(odd / "001.dcm")
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName"):
            if source.get(keyword):
                assert one[keyword].value == source[keyword].value
        seg = hd.seg.segread(tmp_path / "mask.dcm").get_volume(combine_segments=True)
    assert seg.array.sum() == mask.voxels.sum() > 0


def test_names_in_other_alphabets_stay(ct, tmp_path):
    for number, kind in enumerate(("Japanese", "no charset")):
        folder = write(ct, tmp_path / str(number), ODD[kind], slices=range(4))
        write_series(read_volume(folder), tmp_path / f"out{number}", RECORD)
        name = pydicom.dcmread(folder / "000.dcm").PatientName
        assert pydicom.dcmread(tmp_path / f"out{number}" / "0001.dcm").PatientName == name


def test_a_segmentation_needs_slices_that_have_identities(ct, tmp_path):
    pytest.importorskip("highdicom")
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        folder = write(ct, tmp_path / keyword, without(keyword))
        with pytest.raises(InputError, match=r"no UIDs .* \.nii\.gz"):
            check_segmentation(tmp_path / "mask.dcm", folder)
        write_series(read_volume(folder), tmp_path / f"{keyword} out", RECORD)
        assert "ReferencedSeriesSequence" not in images(tmp_path / f"{keyword} out")[0]
    folder = write(ct, tmp_path / "one", lambda ds, k: setattr(ds, "SOPInstanceUID", "1.2.3"))
    with pytest.raises(InputError, match="share UIDs"):
        check_segmentation(tmp_path / "mask.dcm", folder)
    with pytest.raises(InputError, match="give the CT as a DICOM"):
        check_segmentation(tmp_path / "mask.dcm", tmp_path / "ct.nii.gz")


def test_results_of_multi_frame_ct(ct, tmp_path):
    hd = pytest.importorskip("highdicom")
    order = [int(k) for k in np.random.default_rng(0).permutation(20)]
    path = enhanced(ct, tmp_path / "ct" / "a.dcm", order)
    check_segmentation(tmp_path / "mask.dcm", path)
    for number, source in enumerate((path, path.parent)):
        volume = read_volume(source)
        write_series(volume, tmp_path / f"out{number}", RECORD)
        same_place(read_volume(tmp_path / f"out{number}"), volume)
        for k, one in enumerate(images(tmp_path / f"out{number}")):
            reference = one.SourceImageSequence[0]
            assert reference.ReferencedSOPClassUID == ENHANCED and order[reference.ReferencedFrameNumber - 1] == k
            assert one.PatientID == "P-1"
        mask = volume.with_voxels(np.zeros(ct.voxels.shape, np.uint8))
        mask.voxels[4, 10:20, 5:9] = 1
        write_segmentation(mask, tmp_path / f"{number}.dcm", RECORD)
        seg = hd.seg.segread(tmp_path / f"{number}.dcm").get_volume(combine_segments=True)
        where = np.argwhere(seg.array)
        assert len(where) == 40
        points = (np.array(seg.affine) @ np.c_[where, np.ones(len(where))].T)[:3].T
        first = volume.to_sitk().TransformIndexToPhysicalPoint((5, 10, 4))
        np.testing.assert_allclose(points.min(0), first, atol=1e-5)


def test_other_series_in_the_folder_are_no_source(ct, tmp_path):
    """A localizer beside the CT has a position too."""
    folder = write(ct, tmp_path / "ct")
    scout = pydicom.dcmread(folder / "000.dcm")
    scout.ImageType, scout.SOPInstanceUID, scout.SeriesInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "9.9", "9"
    scout.save_as(folder / "scout.dcm")
    write_series(read_volume(folder), tmp_path / "out", RECORD)
    references = {one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in images(tmp_path / "out")}
    assert len(references) == 20 and "9.9" not in references
