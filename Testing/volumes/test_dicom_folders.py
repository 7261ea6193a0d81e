"""DICOM folders as archives, disks and Macs leave them: the CT is found in them, and what was left out is reported."""

import os

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.dicom.reading import find_slices
from MedDiffFMLib.volumes.io import read_volume

from .phantom import PATIENT, common, enhanced, image, write
from .test_dicom_kinds import refused

SECONDARY_CAPTURE, STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.67"


def strip_preamble(folder, implicit=True):
    """Data sets without file meta information, as old archives keep them."""
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        bare = Dataset()
        bare.update({element.tag: element for element in ds})
        pydicom.dcmwrite(file, bare, implicit_vr=implicit, little_endian=True)
    return folder


@pytest.mark.parametrize("implicit", [True, False])
def test_without_preamble(ct, tmp_path, implicit):
    folder = strip_preamble(write(ct, tmp_path / "ct", name="IM{k:04d}"), implicit)
    assert (folder / "IM0000").read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read_volume(folder).voxels, ct.voxels)


def capture(ct, path, modality="CT", sop=SECONDARY_CAPTURE, number=99, rows=True):
    """A file of the same patient that is no CT slice: a screen with the dose, a report."""
    ds = common(ct, 0, f"1.2.3.{number}", sop)
    ds.Modality, ds.SeriesNumber, ds.ImageType = modality, number, ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    if rows:
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = bytes(ds.Rows * ds.Columns)
    else:
        del ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation
    ds.save_as(path, enforce_file_format=True)


def clutter(folder):
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(200))
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (folder / "export.zip").write_bytes(b"PK\3\4" + bytes(300))
    (folder / "read me.txt").write_text("DICM " * 100)
    (folder / "empty").write_bytes(b"")
    (folder / "viewer").mkdir()
    for file in list(folder.glob("*.dcm")):
        (folder / f"._{file.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(4070))


def test_other_files_beside_the_slices(ct, tmp_path):
    folder = write(ct, tmp_path / "ct")
    clutter(folder)
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, ct.voxels) and volume.warnings == ()
    capture(ct, folder / "dose.dcm")
    capture(ct, folder / "report.dcm", "SR", STRUCTURED_REPORT, 98, rows=False)
    scout = image(ct, 3, "1.2.3.5")
    scout.ImageType, scout.Rows, scout.Columns = ["ORIGINAL", "PRIMARY", "LOCALIZER"], 20, 100
    scout.save_as(folder / "scout.dcm", enforce_file_format=True)
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, ct.voxels)
    (warning,) = volume.warnings
    assert "3 other DICOM files were left out" in warning and PATIENT not in warning and "P-1" not in warning
    for word in ("series 7: CT localizer, 1 slice", "series 98: SR, 1 file", "series 99: CT, 1 slice"):
        assert word in warning


def test_a_disk_with_a_directory_of_its_files(ct, tmp_path):
    """A CD as archives burn them: DICOMDIR, and the slices in folders below."""
    own = write(ct, tmp_path / "own", lambda ds, k: setattr(ds, "SOPInstanceUID", generate_uid()) or _meta(ds))
    disk = FileSet()
    for file in own.iterdir():
        disk.add(file)
    disk.write(tmp_path / "disk")
    assert (tmp_path / "disk" / "DICOMDIR").is_file()
    volume = read_volume(tmp_path / "disk")
    assert np.array_equal(volume.voxels, ct.voxels) and volume.warnings == ()


def _meta(ds):
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID


def test_folders_in_folders(ct, tmp_path):
    top = tmp_path / "patient"
    write(ct, top / "study" / "series")
    write(ct, top / "__MACOSX" / "series")
    write(ct, top / ".Trash" / "series")
    capture(ct, top / "study" / "dose.dcm")
    os.symlink(top, top / "study" / "loop")
    volume = read_volume(top)
    assert np.array_equal(volume.voxels, ct.voxels)
    assert "1 other DICOM file was left out" in volume.warnings[0]
    write(ct, top / "study" / "thin", series="1.2.3.4")
    refused(top, "series 3: CT, 20 slices, 2.5 mm apart", "series 6: CT, 20 slices", "put one of them alone")
    assert np.array_equal(read_volume(top / "study" / "thin").voxels, ct.voxels)


def test_a_result_in_a_subfolder_is_not_searched(ct, tmp_path):
    folder = write(ct, tmp_path / "ct")
    write(ct, folder / "denoised", series="1.2.3.4")
    assert read_volume(folder).warnings == ()


def test_slices_of_one_scan_in_two_series(ct, tmp_path):
    half = write(ct, tmp_path / "half", slices=range(10))
    refused(write(ct, half, slices=range(10, 20), series="1.2.3.4"), "2 series", "10 slices")
    last = write(ct, tmp_path / "last", slices=range(19))
    refused(write(ct, last, slices=[19], series="1.2.3.4"), "of another series", "013.dcm")
    each = tmp_path / "each"
    for k in range(20):
        write(ct, each, slices=[k], series=f"1.2.3.{k + 1}")
    refused(each, "20 series", "…")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda ct, folder: write(ct, folder) / "000.dcm", ["one slice of a series", "give its folder"]),
        (lambda ct, folder: write(ct, folder, slices=[3]), ["single slice"]),
        (lambda ct, folder: write(ct, folder, lambda ds, k: setattr(ds, "Modality", "PT")), ["not a CT", "PT, 20"]),
        (lambda ct, folder: folder.mkdir() or folder, ["no DICOM images"]),
        (lambda ct, folder: write(ct, folder, lambda ds, k: False), ["no DICOM images"]),
    ],
)
def test_what_is_no_series(ct, tmp_path, make, words):
    refused(make(ct, tmp_path / "ct"), *words)


def test_a_report_alone_is_no_ct(ct, tmp_path):
    capture(ct, tmp_path / "report.dcm", "SR", STRUCTURED_REPORT, 98, rows=False)
    for path in (tmp_path, tmp_path / "report.dcm"):
        refused(path, "not a CT", "series 98: SR, 1 file")


def test_a_file_that_is_named_as_dicom_and_is_none(ct, tmp_path):
    folder = write(ct, tmp_path / "ct")
    (folder / "0021.dcm").write_text("<html>404</html>" * 40)
    refused(folder, "0021.dcm", "damaged")


def test_a_multi_frame_ct_beside_its_slices_is_ambiguous(ct, tmp_path):
    folder = write(ct, tmp_path / "ct", series="1.2.3.4")
    enhanced(ct, folder / "all.dcm")
    refused(folder, "2 series", "series 3: CT, 20 slices")


def test_names_in_any_encoding(ct, tmp_path):
    """Names that are no UTF-8 are no obstacle for DICOM: Python opens the files, by their bytes."""
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system knows only names in UTF-8")
    write(ct, folder, name=os.fsdecode(b"\xe4{k:03d}.dcm"))
    assert np.array_equal(read_volume(folder).voxels, ct.voxels)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(ct, tmp_path):
    folder = write(ct, tmp_path / "ct")
    (folder / "007.dcm").chmod(0)
    refused(folder, "007.dcm", "permissions")


def test_the_order_is_that_of_the_volume(ct, tmp_path):
    slices, _ = find_slices(write(ct, tmp_path / "ct"))
    assert [int(one.header.InstanceNumber) for one in slices] == list(range(1, 21))
    with pytest.raises(InputError):
        find_slices(tmp_path / "none")
