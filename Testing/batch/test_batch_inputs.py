"""Folders as people have them: every patient is done, or listed with the reason; no name and no death ends a batch."""

import csv
import os
import signal
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from tiny_model import save_tiny_model

from MedDiffFMLib.batch import batch as batches
from MedDiffFMLib.batch.batch import Batch, find_inputs, plan
from MedDiffFMLib.batch.local import on_this_computer
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.parameters import CommonParameters, DenoiseParameters
from MedDiffFMLib.worker.client import WorkerProcess

FAST = ("--quality", "fast", "--region", "chest", "--sigma", "30", "--device", "cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model")


@pytest.fixture(scope="module")
def image(data):
    return sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:52, 20:52, 40:52]


def slices(image, folder, series="1.2.3.1", preamble=True):
    """A CT series in HU + 1024, with pydicom; without preamble as old archives keep it."""
    folder.mkdir(parents=True)
    voxels = sitk.GetArrayFromImage(image)
    for k, plane in enumerate(voxels):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.2", f"{series}.{k + 1}", "CT"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.3", series, 3
        ds.ImagePositionPatient = list(image.TransformIndexToPhysicalPoint((0, 0, k)))
        ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], list(image.GetSpacing()[1::-1])
        ds.Rows, ds.Columns, ds.SamplesPerPixel = *plane.shape, 1
        ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.PixelData = (plane.astype(int) + 1024).astype("<u2").tobytes()
        if preamble:
            ds.file_meta = pydicom.dataset.FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            ds.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
        else:
            pydicom.dcmwrite(folder / f"{k:03d}.dcm", ds, implicit_vr=True, little_endian=True)
    return folder


def rows(folder):
    with open(folder / "status.csv", newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def states(folder):
    return {name: row["status"] for name, row in rows(folder).items()}


def test_patients_as_archives_leave_them(image, model, tmp_path, capfd):
    """Without preamble, from a Mac, nested, plain; and what is no input, with the reason."""
    scans, out = tmp_path / "scans", tmp_path / "out"
    slices(image, scans / "no_preamble", preamble=False)
    for file in [*sorted(slices(image, scans / "from_a_mac").iterdir()), Path("Icon"), Path(".DS_Store")]:
        (scans / "from_a_mac" / f"._{file.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(4070))
    slices(image, scans / "pat2" / "study" / "series")
    slices(image, scans / "ok")
    slices(image, scans / ".hidden")
    slices(image, scans / "__MACOSX" / "ok")
    (scans / "pat3.zip").write_bytes(b"PK\3\4")
    (scans / "pat4.mgz").write_bytes(b"x")
    (scans / "notes.txt").write_text("x")
    (scans / "pat5").mkdir()
    sitk.WriteImage(image, str(scans / "pat5" / "ct.nii.gz"))
    (scans / "loose1.dcm").write_bytes((scans / "ok" / "000.dcm").read_bytes())
    (scans / "loose2.dcm").write_bytes((scans / "ok" / "001.dcm").read_bytes())
    assert main(["batch", "denoise", str(scans), str(out), *FAST, "--model", str(model)]) == 0
    printed = capfd.readouterr()
    done = ["from_a_mac", "no_preamble", "ok", "pat2"]
    left_out = ["loose1.dcm and 1 more", "pat3.zip", "pat4.mgz", "pat5"]
    assert states(out) == dict.fromkeys(done, "done") | dict.fromkeys(left_out, "left out")
    assert "4 of 4 done, 4 left out" in printed.out
    for name, word in zip(left_out, ("lie loose", "unpack", "convert", "1 volume and no DICOM"), strict=True):
        assert word in rows(out)[name]["reason"] and f"{name}: left out, {rows(out)[name]['reason']}" in printed.err
    results = [sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{name}.nii.gz"))) for name in done]
    assert all(np.array_equal(results[0], other) for other in results)
    assert main(["batch", "denoise", str(scans), str(out), *FAST, "--model", str(model), "-q"]) == 0
    assert set(states(out).values()) == {"skipped", "left out"}


def test_names_that_are_no_utf8(image, model, tmp_path, capfd):
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    sitk.WriteImage(image, str(scans / "a.nii.gz"))
    sitk.WriteImage(image, str(scans / "Zoë 山田.nii.gz"))
    try:
        os.link(scans / "a.nii.gz", os.fsencode(scans) + b"/M\xfcller.nii.gz")
    except OSError:
        pytest.skip("this file system knows only names in UTF-8")
    assert main(["batch", "denoise", str(scans), str(out), *FAST, "--model", str(model)]) == 1
    assert states(out) == {"M\\udcfcller": "failed", "a": "done", "Zoë 山田": "done"}
    assert "not UTF-8; rename it" in rows(out)["M\\udcfcller"]["reason"]
    assert sorted(path.name for path in out.iterdir() if path.suffix == ".gz") == ["Zoë 山田.nii.gz", "a.nii.gz"]
    odd = os.fsdecode(os.fsencode(scans) + b"/M\xfcller.nii.gz")
    capfd.readouterr()
    assert main(["denoise", odd, str(tmp_path / "x.nii.gz"), *FAST, "--model", str(model)]) == 2
    assert "not UTF-8" in capfd.readouterr().err and not (tmp_path / "x.nii.gz").exists()
    target = os.fsdecode(os.fsencode(tmp_path) + b"/\xe4.nrrd")
    assert main(["denoise", str(scans / "a.nii.gz"), target, *FAST, "--model", str(model)]) == 2


def test_a_worker_tells_of_such_a_name_and_goes_on(image, model, tmp_path):
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.nii.gz")
    try:
        os.link(tmp_path / "a.nii.gz", odd)
    except OSError:
        pytest.skip("this file system knows only names in UTF-8")
    process = WorkerProcess()
    values = DenoiseParameters(quality="fast", region="chest", sigma=30.0).to_dict() | {"model": str(model)}
    request = {"request": "run", "id": "1", "task": "denoise", "parameters": values}
    end = process.run(request | {"files": {"input": odd, "output": str(tmp_path / "out.nrrd")}})
    assert (end["event"], end["kind"]) == ("error", "input") and "not UTF-8" in end["message"]
    first = process._process.pid
    files = {"input": str(tmp_path / "a.nii.gz"), "output": str(tmp_path / "out.nrrd")}
    assert process.run(request | {"files": files})["event"] == "result" and process._process.pid == first
    process.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_worker_that_dies_ends_no_batch(image, model, tmp_path):
    from .test_batch import workers_of

    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for name in "abc":
        sitk.WriteImage(image, str(scans / f"{name}.nii.gz"))
    batch = Batch("denoise", plan("denoise", scans, out, {}), out)
    killed = []

    def kill(batch):
        if "b" in batch.running and not killed:
            killed.extend(workers_of(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    values = DenoiseParameters(quality="fast", region="chest", sigma=30.0)
    batch.run(values, CommonParameters(model=str(model), device="cpu"), on_this_computer(1), kill)
    assert killed and states(out) == {"a": "done", "b": "failed", "c": "done"}
    assert "ended by signal 9" in rows(out)["b"]["reason"]


def test_what_befalls_a_job_ends_no_batch(image, tmp_path, monkeypatch):
    """Not even what nobody thought of."""
    for name in "ab":
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    batch = Batch("denoise", plan("denoise", tmp_path, tmp_path / "out", {}), tmp_path / "out")

    def burst(self, request, hear):
        raise KeyError("event")

    monkeypatch.setattr(WorkerProcess, "run", burst)
    batch.run(DenoiseParameters(), CommonParameters(), on_this_computer(2), lambda batch: None)
    assert states(tmp_path / "out") == {"a": "failed", "b": "failed"}


def test_a_worker_that_talks_nonsense_is_killed(monkeypatch):
    monkeypatch.setattr("MedDiffFMLib.worker.client.STOP_SECONDS", 0.2)
    process = WorkerProcess(command=("sh", "-c", "echo nonsense; sleep 600"))
    assert process.run({"request": "run", "id": "a"})["kind"] == "crash"
    process.close()


def test_results_within_the_inputs_are_no_inputs(image, tmp_path):
    slices(image, tmp_path / "a")
    slices(image, tmp_path / "results" / "a")
    (tmp_path / "masks").mkdir()
    sitk.WriteImage(image, str(tmp_path / "masks" / "a.nii.gz"))
    names = [
        e.name for e in plan("denoise", tmp_path, tmp_path / "results", {"mask": f"{tmp_path}/masks/{{name}}.nii.gz"})
    ]
    assert names == ["a"]


def test_folders_of_organs_are_inputs_of_tasks_on_labels(image, tmp_path):
    for name in ("pat1", "pat2"):
        (tmp_path / name).mkdir()
        sitk.WriteImage(sitk.Cast(image > 100, sitk.sitkUInt8), str(tmp_path / name / "liver.nii.gz"))
    (tmp_path / "notes").mkdir()
    entries = plan("synthesize", tmp_path, tmp_path / "out", {})
    assert [(entry.name, entry.status) for entry in entries] == [("pat1", "waiting"), ("pat2", "waiting")]


def test_multi_frame_files_links_and_broken_links(image, tmp_path):
    from pydicom.uid import generate_uid

    own = slices(image, tmp_path / "elsewhere")
    scans = tmp_path / "scans"
    scans.mkdir()
    os.symlink(own, scans / "linked")
    os.symlink(tmp_path / "nothing.nii.gz", scans / "gone.nii.gz")
    os.symlink(scans, scans / "round")
    ds = pydicom.dcmread(own / "000.dcm")
    ds.NumberOfFrames, ds.SOPInstanceUID = 2, generate_uid()
    ds.PixelData += ds.PixelData
    ds.save_as(scans / "enhanced.dcm")
    assert list(find_inputs(scans)) == ["enhanced", "gone", "linked"]


def test_names_that_differ_in_case(image, tmp_path, monkeypatch):
    """Two results where the disk tells them apart, and a sentence where it does not."""
    for name in ("A.nii.gz", "a.mha", "b.mha"):
        sitk.WriteImage(image, str(tmp_path / name))
    assert [entry.status for entry in plan("denoise", tmp_path, tmp_path / "out", {})] == ["waiting"] * 3
    monkeypatch.setattr(batches, "_is_case_sensitive", lambda folder: False)
    entries = plan("denoise", tmp_path, tmp_path / "out", {})
    assert [(entry.name, entry.status) for entry in entries] == [("A", "failed"), ("b", "waiting")]
    assert "A.nii.gz and a.mha" in entries[0].reason


def test_nothing_but_what_is_left_out(tmp_path):
    (tmp_path / "pat.zip").write_bytes(b"PK\3\4")
    with pytest.raises(InputError, match=r"holds no volumes.*pat\.zip: packed: unpack it"):
        plan("denoise", tmp_path, tmp_path / "out", {})
