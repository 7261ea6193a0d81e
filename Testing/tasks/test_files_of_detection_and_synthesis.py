"""Anomaly detection and synthesis from files to files: what is written, where it lies, and what its provenance says."""

import csv
import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from exact_model import Prior, exact_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.parameters import CommonParameters, DetectAnomaliesParameters, SynthesizeParameters
from MedDiffFMLib.volumes.dicom.writing import write_series
from MedDiffFMLib.volumes.volume import Volume

MEANS, WINDOW = {5: 45.0, 118: -60.0}, (-120.0, 240.0)


@pytest.fixture
def files(data, tmp_path):
    """A part of the real abdomen with a bright ball of 12 mm in its liver, and its labels, in a folder of their own."""
    folder = tmp_path / "PATIENT_DOE"
    folder.mkdir()
    names = {"input": "abd_ts_example.nii.gz", "anatomy": "abd_ts_example_seg.nii.gz"}
    paths = {}
    for slot, name in names.items():
        image = sitk.ReadImage(str(data / name))[8:80, 10:80, 72:112]
        if slot == "input":
            voxels = sitk.GetArrayFromImage(image)
            z, y, x = (i - c for i, c in zip(np.indices(voxels.shape), (32, 33, 25), strict=True))
            voxels[z**2 + y**2 + x**2 <= 16] += 90
            bright = sitk.GetImageFromArray(voxels)
            bright.CopyInformation(image)
            image = bright
        paths[slot] = folder / name
        sitk.WriteImage(image, str(paths[slot]))
    return paths


def run(task, files, parameters):
    own = {"tasks": {"detect-anomalies": {"spacing_mm": None}}}

    def load(name, device, precision, runtime):
        return exact_model(Prior(MEANS, WINDOW, other=20.0), config=own)

    return run_job(task, files, parameters, CommonParameters(), load=load)


def test_detection_writes_map_mask_and_table(files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    paths = {"input": files["input"], "output_map": out / "map.nii.gz", "mask": out / "mask.nii.gz"}
    paths["findings"] = out / "findings.csv"
    parameters = DetectAnomaliesParameters(organ="liver", anatomy=str(files["anatomy"]), region="abdomen")
    report = run("detect-anomalies", paths, parameters)
    names = ["findings.csv", "map.json", "map.nii.gz", "mask.json", "mask.nii.gz"]
    assert sorted(f.name for f in out.iterdir()) == names
    source, map_, mask = (sitk.ReadImage(str(paths[name])) for name in ("input", "output_map", "mask"))
    for image in (map_, mask):
        assert image.GetSize() == source.GetSize()
        np.testing.assert_allclose(image.GetOrigin(), source.GetOrigin(), atol=1e-4)
    assert map_.GetPixelID() == sitk.sitkFloat32 and mask.GetPixelID() == sitk.sitkUInt8
    with open(paths["findings"], newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["finding"], first["organ"], first["deviation"]) == ("1", "liver", "brighter")
    ball = np.array(source.TransformIndexToPhysicalPoint((25, 33, 32))) * (-1, -1, 1)
    place = np.array([float(first[f"center_{axis}_mm"]) for axis in "ras"])
    assert np.abs(place - ball).max() < 3
    text = (out / "map.json").read_text(encoding="utf-8")
    assert json.loads(text)["synthetic"] is False and json.loads(text)["facts"]["findings"] >= 1
    assert "DOE" not in text and report.summary.startswith(f"{report.facts['findings']} finding")


def test_a_deidentified_ct_gets_its_segmentation_map_and_table(files, tmp_path):
    """A DICOM series without birth date, sex, names and study: all outputs are there and fit each other."""
    hd = pytest.importorskip("highdicom")
    folder, out = tmp_path / "ct", tmp_path / "out"
    record = {"task": "denoise", "synthetic": False, "model": {"name": "", "sha256": "0" * 64}, "output": "output"}
    write_series(Volume.from_sitk(sitk.ReadImage(str(files["input"]))), folder, record)
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        for keyword in "PatientBirthDate PatientSex PatientName StudyDate StudyTime StudyID AccessionNumber".split():
            delattr(ds, keyword)
        ds.save_as(file)
    out.mkdir()
    paths = {"input": folder, "output_map": out / "map.nii.gz", "mask": out / "mask.dcm"}
    paths["findings"] = out / "findings.csv"
    parameters = DetectAnomaliesParameters(organ="liver", anatomy=str(files["anatomy"]), region="abdomen")
    report = run("detect-anomalies", paths, parameters)
    names = ["findings.csv", "map.json", "map.nii.gz", "mask.dcm", "mask.json"]
    assert sorted(f.name for f in out.iterdir()) == names and report.facts["findings"] >= 1
    found = hd.seg.segread(out / "mask.dcm").get_volume(combine_segments=True)
    map_ = sitk.ReadImage(str(out / "map.nii.gz"))
    points = [(found.affine @ [*index, 1])[:3].tolist() for index in np.argwhere(found.array)]
    assert points and min(abs(map_[map_.TransformPhysicalPointToIndex(point)]) for point in points) > 0
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        ds.SeriesInstanceUID = ""
        ds.save_as(file)
    again = {slot: path if slot == "input" else path.with_name(f"2{path.name}") for slot, path in paths.items()}
    with pytest.raises(InputError, match="no UIDs"):
        run_job("detect-anomalies", again, parameters, CommonParameters(), load=None)
    assert sorted(f.name for f in out.iterdir()) == names


def test_a_table_without_findings_has_its_header(files, tmp_path):
    headers = []
    for threshold in (20.0, 2000.0):
        paths = {"input": files["input"], "output_map": tmp_path / f"{threshold}.nii.gz"}
        paths["findings"] = tmp_path / f"{threshold}.csv"
        wanted = {"organ": "liver", "anatomy": str(files["anatomy"]), "region": "abdomen", "threshold": threshold}
        report = run("detect-anomalies", paths, DetectAnomaliesParameters(**wanted))
        lines = paths["findings"].read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 + report.facts["findings"]
        headers.append(lines[0])
    assert report.facts["findings"] == 0 and headers[0] == headers[1]
    assert headers[0].startswith("finding,organ,deviation,volume_ml,peak_hu,mean_hu,center_r_mm")


def test_mask_and_table_are_not_written_unasked(files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    parameters = DetectAnomaliesParameters(organ="liver", anatomy=str(files["anatomy"]), region="abdomen")
    run("detect-anomalies", {"input": files["input"], "output_map": out / "map.nii.gz"}, parameters)
    assert sorted(f.name for f in out.iterdir()) == ["map.json", "map.nii.gz"]


def test_synthesis_writes_every_sample_and_says_that_it_is_synthetic(files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    paths = {"anatomy": files["anatomy"], "output": out / "made.nii.gz"}
    report = run("synthesize", paths, SynthesizeParameters(samples=2, quality="fast", seed=3))
    assert sorted(f.name for f in out.iterdir()) == ["made-1.json", "made-1.nii.gz", "made-2.json", "made-2.nii.gz"]
    labels = sitk.ReadImage(str(files["anatomy"]))
    made = [sitk.ReadImage(str(out / f"made-{n}.nii.gz")) for n in (1, 2)]
    for image in made:
        assert image.GetSize() == labels.GetSize() and image.GetPixelID() == sitk.sitkInt16
        np.testing.assert_allclose(image.GetOrigin(), labels.GetOrigin(), atol=1e-4)
    assert not np.array_equal(*(sitk.GetArrayFromImage(image) for image in made))
    record = json.loads((out / "made-2.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is True and record["sample"] == 2 and record["facts"]["seeds"] == [3, 4]
    assert record["facts"]["body"].startswith("estimated") and "DOE" not in (out / "made-2.json").read_text(
        encoding="utf-8"
    )
    assert report.summary.startswith("2 synthetic CTs (abdomen; image; 40 network evaluations)")


def test_a_refused_job_leaves_nothing(files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match="cannot be found by threshold"):
        run(
            "detect-anomalies",
            {"input": files["input"], "output_map": out / "map.nii.gz"},
            DetectAnomaliesParameters(organ="liver"),
        )
    assert list(out.iterdir()) == []
