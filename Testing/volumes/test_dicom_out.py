"""Results as DICOM: the same voxels at the same place, in this project's reader and in others'; the standard's tags."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.diffusion.slice_profile import SliceProfile
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.jobs.outputs import OutputItem, check_result_path, write_results
from MedDiffFMLib.parameters import TASKS, CommonParameters
from MedDiffFMLib.volumes.dicom.writing import (
    IMPLEMENTATION,
    is_series,
    move_folder_into_place,
    write_segmentation,
    write_series,
)
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

from .test_dicom import NAME
from .test_dicom import write_series as write_scan

RECORD = {"task": "denoise", "synthetic": False, "model": {"name": "tiny", "sha256": "0" * 64}, "output": "output"}


def made(volume, folder, **changes):
    """The series of a volume, as pydicom reads it, in the order of its numbers."""
    write_series(volume, folder, RECORD | changes)
    return images(folder)


def images(folder):
    return sorted((pydicom.dcmread(file) for file in folder.iterdir()), key=lambda one: one.InstanceNumber)


def same_place(volume, other, atol=1e-6):
    """The same voxels at the same points of space, whatever way the axes of the arrays run."""
    a, b = (sitk.DICOMOrient(one.to_sitk(), "LPS") for one in (volume, other))
    np.testing.assert_allclose(a.GetOrigin(), b.GetOrigin(), atol=atol)
    np.testing.assert_allclose(a.GetSpacing(), b.GetSpacing(), atol=atol)
    np.testing.assert_allclose(a.GetDirection(), b.GetDirection(), atol=atol)
    np.testing.assert_allclose(sitk.GetArrayFromImage(a), sitk.GetArrayFromImage(b), atol=0)


def test_reads_back_equal_in_every_orientation(placed, tmp_path):
    """By this project's reader and ITK's own series reader; the grids of `placed` are oblique, flipped, sagittal."""
    write_series(placed, tmp_path / "out", RECORD)
    back = read_volume(tmp_path / "out")
    assert back.voxels.dtype == np.int16
    same_place(back, placed)
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "out"))
    same_place(Volume.from_sitk(sitk.ReadImage(files)), placed)


def test_each_image_says_where_it_lies(placed, tmp_path):
    """By pydicom and the standard's own formula: position + column · Δc · row axis + row · Δr · column axis."""
    series = made(placed, tmp_path / "out")
    rng = np.random.default_rng(0)
    for _ in range(20):
        k, r, c = (int(rng.integers(n)) for n in placed.voxels.shape)
        one = series[k]
        row, column = np.array(one.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, one.PixelSpacing)
        point = np.array(one.ImagePositionPatient, float) + c * between_columns * row + r * between_rows * column
        index = placed.to_sitk().TransformPhysicalPointToIndex(point.tolist())
        assert one.pixel_array[r, c] == placed.voxels[index[::-1]]
    normal = np.cross(*np.array(series[0].ImageOrientationPatient, float).reshape(2, 3))
    along = [np.array(one.ImagePositionPatient, float) @ normal for one in series]
    np.testing.assert_allclose(
        np.diff(along), placed.spacing[2], atol=1e-6
    )  # numbered along the normal: viewers sort so
    np.testing.assert_allclose([float(one.SliceLocation) for one in series], along, atol=1e-6)
    assert float(series[0].SpacingBetweenSlices) == pytest.approx(placed.spacing[2])


def test_floats_are_stored_finely(ct, tmp_path):
    """±1500 HU in steps of 1/16 HU; small maps in steps of 2⁻¹⁴; what 16 bits cannot hold more coarsely."""
    rng = np.random.default_rng(0)
    for scale, step in ((1500, 2.0**-4), (1.5, 2.0**-14), (1e5, 4.0)):
        voxels = rng.uniform(-scale, scale, ct.voxels.shape).astype(np.float32)
        write_series(ct.with_voxels(voxels), tmp_path / str(scale), RECORD)
        back = read_volume(tmp_path / str(scale)).voxels
        assert back.dtype == np.float32 or step > 1
        assert np.abs(back.astype(np.float64) - voxels).max() <= step / 2 * 1.001
        assert float(images(tmp_path / str(scale))[0].RescaleSlope) == step


def test_uids_are_new_and_valid(ct, tmp_path):
    one, other = made(ct, tmp_path / "a"), made(ct, tmp_path / "b")
    every = [image.SOPInstanceUID for image in one + other]
    assert len(set(every)) == 40 and all(uid.is_valid for uid in every)
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert len({image[keyword].value for image in one}) == 1
        assert one[0][keyword].value.is_valid and one[0][keyword].value != other[0][keyword].value
    assert all(image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID for image in one)
    assert pydicom.uid.UID(IMPLEMENTATION).is_valid


def test_the_attributes_are_those_of_the_standard(ct, tmp_path):
    """What each mandatory module of the CT Image IOD requires stands there, with a value where type 1 asks for one, in
    the table of highdicom; every attribute is of this IOD, and its value of its type and length.
    """
    standard = pytest.importorskip("highdicom._standard_utils")
    with pydicom.config.strict_reading():
        one = made(ct, tmp_path / "out")[3]
        for element in one.iterall():
            assert not element.tag.is_private and (element.VM == 0 or element.value is not None)
            pydicom.valuerep.validate_value(element.VR, element.value, pydicom.config.RAISE) if isinstance(
                element.value, str
            ) else None
    assert one.SOPClassUID == pydicom.uid.CTImageStorage
    modules = standard.get_iod_module_map()["ct-image"]
    attributes = {m["key"]: standard.get_module_attribute_map()[m["key"]] for m in modules}
    for module in modules:
        for attribute in attributes[module["key"]]:
            if module["usage"] != "M" or attribute["path"] or attribute["type"] not in ("1", "2"):
                continue
            assert attribute["keyword"] in one, attribute
            assert attribute["type"] == "2" or one[attribute["keyword"]].value not in (None, ""), attribute
    allowed = {a["keyword"] for some in attributes.values() for a in some if not a["path"]}
    assert {element.keyword for element in one} <= allowed


def test_the_tags_say_what_made_it(ct, tmp_path):
    one = made(ct, tmp_path / "a")[0]
    assert list(one.ImageType[:2]) == ["DERIVED", "SECONDARY"] and one.BurnedInAnnotation == "NO"
    assert one.SeriesDescription == "MedDiff-FM denoise (AI-derived)" and (0x0008, 0x001C) not in one
    assert "not for diagnosis" in one.ImageComments and "model tiny" in one.DerivationDescription
    equipment = one.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert equipment.SoftwareVersions.startswith("meddiff-fm ") and one.ContentQualification == "RESEARCH"
    synthetic = made(ct, tmp_path / "b", synthetic=True, task="inpaint-lesion")[0]
    assert synthetic[0x0008, 0x001C].value == "YES" and synthetic.SeriesDescription.startswith(
        "SYNTHETIC MedDiff-FM inpaint"
    )
    assert "SYNTHETIC" in synthetic.ImageComments and "SYNTHETIC" in synthetic.DerivationDescription
    assert synthetic.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109100"


def test_windows(ct, tmp_path):
    one = made(ct, tmp_path / "ct")[0]
    assert (one.WindowCenter, one.WindowWidth) == (40, 400)
    deviation = ct.with_voxels(np.where(ct.voxels > 0, 25, -10).astype(np.int16))
    one = made(deviation, tmp_path / "map", output="output_map")[0]
    assert (one.WindowCenter, one.WindowWidth) == (0, 50)


@pytest.fixture
def scan(ct, tmp_path):
    """A DICOM series of a patient, with what a scanner writes, umlauts too."""
    folder = write_scan(ct, tmp_path / "scan")
    uid = pydicom.uid.generate_uid(None)
    for file in folder.iterdir():
        one = pydicom.dcmread(file)
        one.SpecificCharacterSet, one.PatientName, one.PatientID = "ISO_IR 100", "Müller^Jörg", "P-1234"
        one.PatientBirthDate, one.StudyID, one.StudyDescription = "19550102", "7", "Thorax"
        one.StudyInstanceUID, one.FrameOfReferenceUID, one.SliceThickness = uid, "1.2.3.4", "3"
        one.WindowCenter, one.WindowWidth, one.InstitutionName = -500, 1500, "Hospital"
        one.save_as(file)
    return folder


def test_patient_and_study_are_the_sources(scan, tmp_path):
    volume = read_volume(scan)
    series, source = made(volume, tmp_path / "out"), pydicom.dcmread(next(scan.iterdir()))
    for one in series:
        assert str(one.PatientName) == "Müller^Jörg" and one.PatientID == "P-1234" and one.StudyID == "7"
        assert one.StudyInstanceUID == source.StudyInstanceUID and one.FrameOfReferenceUID == source.FrameOfReferenceUID
        assert one.SeriesInstanceUID != source.SeriesInstanceUID
        assert (one.SliceThickness, one.WindowCenter, one.WindowWidth) == (3, -500, 1500)
        assert "InstitutionName" not in one
    same_place(read_volume(tmp_path / "out"), volume)


def test_each_image_refers_to_the_slice_it_was_made_of(scan, tmp_path):
    """On the source's grid each to its own; of thin slices five to one, and the thickness is the new one."""
    volume = read_volume(scan)
    there = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, scan.iterdir())}
    for one in made(volume, tmp_path / "same"):
        (reference,) = one.SourceImageSequence
        source = there[reference.ReferencedSOPInstanceUID]
        np.testing.assert_allclose(one.ImagePositionPatient, source.ImagePositionPatient, atol=1e-6)
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        (series,) = one.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == source.SeriesInstanceUID
        assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    shift = np.reshape(volume.direction, (3, 3))[:, 2] * -1.0
    thin = replace(
        volume,
        voxels=volume.voxels.repeat(5, 0),
        spacing=(*volume.spacing[:2], volume.spacing[2] / 5),
        origin=tuple(np.array(volume.origin) + shift),
    )
    series = made(thin, tmp_path / "thin")
    referred = [one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in series]
    order = sorted(there.values(), key=lambda one: float(one.SOPInstanceUID.split(".")[-1]))
    assert referred == [one.SOPInstanceUID for one in order for _ in range(5)]
    assert series[0].SliceThickness == pytest.approx(0.5)


def test_without_a_dicom_source_there_is_a_placeholder_for_a_patient(ct, tmp_path):
    one = made(replace(ct, source=str(tmp_path / "MUELLER.nii.gz")), tmp_path / "out")[0]
    assert (one.PatientID, str(one.PatientName)) == ("ANONYMOUS", "MedDiff-FM^Anonymous")
    assert "SourceImageSequence" not in one and "MUELLER" not in str(one)


def test_a_source_that_breaks_the_standard_is_no_obstacle(scan, tmp_path, caplog, recwarn):
    """Scanners and anonymisers leave what pydicom refuses: such a value is taken over as it is, or left out, and no
    warning prints it.
    """
    for file in scan.iterdir():
        one = pydicom.dcmread(file)
        with pydicom.config.disable_value_validation():
            one.PatientID, one.StudyID, one.StudyDate, one.AcquisitionNumber = "P" * 80, "S" * 40, "2026-11-22", None
            one.StudyInstanceUID, one.FrameOfReferenceUID, one.PatientName = "1.2.03.4", "", ""
            one.add_new(0x00180060, "LO", "120 kV")  # KVP is a number
            one.save_as(file)
    recwarn.clear()
    write_series(read_volume(scan), tmp_path / "out", RECORD)
    assert not recwarn.list and not caplog.records
    with pydicom.config.disable_value_validation():
        one = pydicom.dcmread(tmp_path / "out" / "0001.dcm")
    assert one.PatientID == "P" * 80 and one.StudyInstanceUID == "1.2.03.4" and one.PatientName == ""
    assert one.FrameOfReferenceUID and read_volume(tmp_path / "out").voxels.shape == (20, 40, 50)


@pytest.mark.parametrize(
    ("name", "series"), [("out", True), ("a/out", True), ("out.nii.gz", False), ("out.jpg", False), ("m.dcm", False)]
)
def test_names_of_series(name, series):
    assert is_series(Path(name)) is series


def test_a_folder_is_only_replaced_if_it_is_ours(ct, tmp_path):
    ours, foreign, empty, dotted = (tmp_path / name for name in ("ours", "foreign", "empty", "of 2026.11"))
    for folder in (foreign, empty, dotted):
        folder.mkdir()
    (foreign / "thesis.txt").write_text("precious")
    made(ct, ours)
    for folder in (empty, dotted, tmp_path / "new"):
        check_result_path(folder, False)
    check_result_path(ours, True)
    for folder, overwrite, words in (
        (ours, False, "--overwrite"),
        (foreign, True, "other files"),
        (tmp_path / "no" / "out", False, "create"),
        (Path("."), True, "name of a new folder"),
    ):
        with pytest.raises(InputError, match=words):
            check_result_path(folder, overwrite)
    (ours / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        check_result_path(ours, True)


def test_a_scan_is_never_replaced(scan):
    with pytest.raises(InputError, match="other files than a result of MedDiff-FM"):
        check_result_path(scan, True)


def test_written_whole_or_not_at_all(ct, tmp_path, monkeypatch):
    """The folder and its provenance beside it; a failure at the last slice leaves the old series and nothing else."""
    item = OutputItem(tmp_path / "out", ct, RECORD)
    write_results([item])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.json"]
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == [f"{k:04d}.dcm" for k in range(1, 21)]
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    save = pydicom.Dataset.save_as

    def fail(self, path, **options):
        if Path(path).name == "0020.dcm":
            raise OSError("disk full")
        save(self, path, **options)

    monkeypatch.setattr(pydicom.Dataset, "save_as", fail)
    with pytest.raises(InputError, match="disk full"):
        write_results([item], overwrite=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()} == before
    monkeypatch.undo()
    write_results([replace(item, content=ct.with_voxels(ct.voxels // 2))], overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.json"]
    assert np.array_equal(read_volume(tmp_path / "out").voxels, ct.voxels // 2)


def test_an_old_folder_comes_back_if_the_new_one_cannot_be_named(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x").write_text("x")
    with pytest.raises(OSError):
        move_folder_into_place(tmp_path / "missing", tmp_path / "old")
    assert [p.name for p in tmp_path.rglob("*")] == ["old", "x"]


def test_a_task_from_dicom_to_dicom(scan, ct, tmp_path, monkeypatch):
    """Super-resolution of a DICOM folder into one: thin slices at their place, the source named, and no patient in the
    provenance.
    """
    model = save_tiny_controls(save_tiny_model(tmp_path / "model", patch=16))
    parameters = TASKS["super-resolve"].from_dict({"factor": 2, "quality": "fast", "steps": 1, "region": "chest"})
    common = CommonParameters(model=str(model), device="cpu", precision="float32")
    report = run_job("super-resolve", {"input": scan, "output": tmp_path / "thin"}, parameters, common)
    thick, thin = read_volume(scan), read_volume(tmp_path / "thin")
    assert thin.voxels.shape == (40, 40, 50) and thin.spacing[2] == pytest.approx(1.25)
    profile = SliceProfile(20, 2, report.facts["slice_thickness_mm"] / 2.5)  # their thickness is among the DICOM tags
    means = profile.means(torch.from_numpy(thin.voxels.astype(np.float32))).numpy()
    np.testing.assert_allclose(means, thick.voxels, atol=0.34)  # what rounding to whole HU may change
    first = np.array(thick.origin) - np.reshape(thick.direction, (3, 3))[:, 2] * 0.625
    np.testing.assert_allclose(thin.origin, first, atol=1e-6)
    one = images(tmp_path / "thin")[0]
    assert one.PatientID == "P-1234" and one.SliceThickness == pytest.approx(1.25)
    with_warnings = (tmp_path / "thin.json").read_text(encoding="utf-8")
    assert json.loads(with_warnings)["facts"] == report.facts and report.facts["block_mean_error_hu"] < 0.34
    for word in (NAME, "ller", "1234", "1955", "Thorax", str(tmp_path)):
        assert word not in with_warnings


def test_a_mask_as_segmentation(scan, tmp_path):
    """Read back by highdicom: the same voxels, on the slices they were found on."""
    hd = pytest.importorskip("highdicom")
    volume = read_volume(scan)
    mask = volume.with_voxels((volume.voxels > 100).astype(np.uint8))
    write_results([OutputItem(tmp_path / "mask.dcm", mask, RECORD | {"output": "mask", "task": "detect-anomalies"})])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mask.dcm", "mask.json", "scan"]
    segmentation = hd.seg.segread(tmp_path / "mask.dcm")
    grid = segmentation.get_volume(combine_segments=True)
    affine = np.array(grid.affine)
    for k, r, c in np.argwhere(mask.voxels)[::97]:
        point = volume.to_sitk().TransformIndexToPhysicalPoint((int(c), int(r), int(k)))
        index = np.rint(np.linalg.solve(affine, [*point, 1])).astype(int)[:3]
        assert grid.array[tuple(index)] == 1
    assert grid.array.sum() == mask.voxels.sum()
    referred = {
        one.ReferencedSOPInstanceUID for one in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referred == {pydicom.dcmread(file).SOPInstanceUID for file in scan.iterdir()}
    assert segmentation.PatientID == "P-1234" and "AI-derived" in segmentation.SeriesDescription
    empty = volume.with_voxels(np.zeros_like(mask.voxels))
    write_segmentation(empty, tmp_path / "empty.dcm", RECORD)
    assert hd.seg.segread(tmp_path / "empty.dcm").pixel_array.sum() == 0
