"""A DICOM folder is read as one CT series in HU, or refused with a list of what was found."""

import logging

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_volume, write_volume

from .conftest import rotation

NAME = "Doe^Jane"
TURNED = rotation((1, 2, 3), 17.3)


def write_series(ct, folder, uid="1.2.3.1", number="3", modality="CT", slices=range(20), move=None, **extra):
    """`ct` as DICOM slices with shuffled names, stored as HU + 1024; `move(k)` gives each slice's place on z."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    move = move or (lambda k: 2.5 * k)
    for k in slices:
        image = sitk.GetImageFromArray(ct.voxels[k : k + 1])
        image.SetSpacing((0.75, 0.8, 2.5))
        position = np.array((-100.5, 50.25, -300.0)) + TURNED[:, 2] * move(k) + extra.get("shear", 0) * k * TURNED[:, 1]
        tags = {
            "0008|0060": modality,
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2" if modality == "CT" else "1.2.840.10008.5.1.4.1.1.4",
            "0010|0010": NAME,
            "0020|000e": uid,
            "0020|0011": number,
            "0008|0018": f"{uid}.{k + 1}",
            "0020|0032": "\\".join(f"{v:.9f}" for v in position),
            "0020|0037": "\\".join(f"{v:.12f}" for v in TURNED[:, :2].T.ravel()),
            "0028|0030": "0.8\\0.75",
            "0028|1053": "1",
            "0028|1052": "-1024",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{(k * 7) % 20:02d}{uid[-1]}.dcm"))
        writer.Execute(image)
    return folder


def refused(folder, *words):
    with pytest.raises(InputError) as caught:
        read_volume(folder)
    sentence = str(caught.value)
    assert str(folder) in sentence and NAME not in sentence and "\n" not in sentence
    for word in words:
        assert word in sentence, sentence


def test_the_logs_are_made_quiet_once_for_a_series_not_for_each_value(ct, tmp_path, monkeypatch):
    """A change of a log's level empties what all logs have remembered: a third of the time that reading took."""
    changed, change = [], logging.Logger.setLevel
    monkeypatch.setattr(logging.Logger, "setLevel", lambda log, level: changed.append(log.name) or change(log, level))
    read_volume(write_series(ct, tmp_path / "ct"))
    assert sorted(changed) == ["highdicom"] * 2 + ["pydicom"] * 2


def test_hu_and_geometry(ct, tmp_path):
    folder = write_series(ct, tmp_path / "ct")
    (folder / "notes.txt").write_text("not a slice")
    volume = read_volume(folder)
    check_ct(volume)
    assert volume.voxels.dtype == np.int16 and np.array_equal(volume.voxels, ct.voxels)
    np.testing.assert_allclose(volume.spacing, (0.75, 0.8, 2.5), atol=1e-8)
    np.testing.assert_allclose(volume.origin, (-100.5, 50.25, -300.0), atol=1e-8)
    np.testing.assert_allclose(np.reshape(volume.direction, (3, 3)), TURNED, atol=1e-10)
    write_volume(volume, tmp_path / "x.mha")
    assert read_volume(tmp_path / "x.mha").direction == volume.direction


def test_slope_that_differs_between_slices(ct, tmp_path):
    folder = write_series(ct, tmp_path / "ct")
    path = folder / f"{4 * 7 % 20:02d}1.dcm"
    slope = b"\x28\x00\x53\x10\x02\x00\x00\x00"  # the tag and the length of its value
    assert path.read_bytes().count(slope + b"1 ") == 1
    path.write_bytes(path.read_bytes().replace(slope + b"1 ", slope + b".3"))
    voxels = read_volume(folder).voxels
    assert voxels.dtype == np.float32 and np.array_equal(voxels[3], ct.voxels[3])
    np.testing.assert_allclose(voxels[4], (ct.voxels[4] + 1024) * 0.3 - 1024, atol=1e-3)


def test_two_series_are_listed(ct, tmp_path):
    folder = write_series(ct, tmp_path / "ct")
    write_series(ct, folder, uid="1.2.3.2", number="7", slices=range(4))
    write_series(ct, folder, uid="1.2.3.3", number="8", modality="MR", slices=range(4))
    refused(folder, "3 series", "series 3: CT, 20 slices, 2.5 mm apart", "series 7: CT, 4 slices", "series 8: MR")


def test_the_only_ct_of_several_slices_is_taken(ct, tmp_path):
    folder = write_series(ct, tmp_path / "ct")
    write_series(ct, folder, uid="1.2.3.2", number="7", modality="MR", slices=range(4))
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, ct.voxels)
    (warning,) = volume.warnings
    assert "4 other DICOM files" in warning and "series 7: MR, 4 slices" in warning and NAME not in warning


@pytest.mark.parametrize("missing", [{9}, {1}, {5, 6, 12}])
def test_missing_slices(ct, tmp_path, missing):
    folder = write_series(ct, tmp_path / "ct", slices=sorted(set(range(20)) - missing))
    refused(
        folder, "missing or unevenly", f"{20 - len(missing)} slices, 2.5 mm apart", f"first after slice {min(missing)}"
    )


def test_uneven_and_doubled_slices(ct, tmp_path):
    uneven = write_series(ct, tmp_path / "uneven", move=lambda k: 2.5 * k + (k > 10) * 0.3)
    refused(uneven, "1 × 2.8 mm", "after slice 11")
    refused(write_series(ct, tmp_path / "doubled", move=lambda k: 2.5 * (k // 2)), "several slices at one position")


def test_rounded_positions_are_not_a_gap(ct, tmp_path):
    folder = write_series(ct, tmp_path / "ct", move=lambda k: round(1.25 * k, 1))
    assert read_volume(folder).spacing[2] == pytest.approx(round(1.25 * 19, 1) / 19, abs=1e-8)


def test_tilted_gantry(ct, tmp_path):
    refused(write_series(ct, tmp_path / "ct", shear=2.5 * np.tan(np.deg2rad(15))), "tilted gantry", "15.0°")


def test_other_modality_single_slice_and_empty(ct, tmp_path):
    refused(write_series(ct, tmp_path / "mr", modality="MR"), "not a CT", "MR, 20 slices")
    refused(write_series(ct, tmp_path / "one", slices=[0]), "single slice")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no DICOM images")


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_slice(ct, tmp_path, keep):
    folder = write_series(ct, tmp_path / "ct")
    path = sorted(folder.iterdir())[5]
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    refused(folder, "damaged")


def test_localizer_in_the_series(ct, tmp_path):
    """One that says what it is is left out; one that does not could be anything."""
    folder = write_series(ct, tmp_path / "ct")
    scout = pydicom.dcmread(folder / "001.dcm")
    scout.ImageOrientationPatient, scout.ImagePositionPatient = [1, 0, 0, 0, 0, -1], [0, 0, 0]
    scout.ImageType, scout.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "1.2.3.1.99"
    scout.save_as(folder / "scout.dcm")
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, ct.voxels)
    assert "1 other DICOM file was left out" in volume.warnings[0] and "CT localizer, 1 slice" in volume.warnings[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    scout.save_as(folder / "scout.dcm")
    refused(folder, "localizer perhaps")
