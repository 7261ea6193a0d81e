"""Batches as a shell sees them, with real worker processes and a real Dask cluster on this computer."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from filelock import FileLock
from patience import PATIENCE
from tiny_model import save_tiny_model
from toy_task import register

from MedDiffFMLib.batch.batch import Batch, find_inputs, plan
from MedDiffFMLib.batch.local import on_this_computer
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import InputError, UsageError
from MedDiffFMLib.parameters import CommonParameters, DenoiseParameters
from MedDiffFMLib.worker.client import WorkerProcess, cores

FAST = ("--quality", "fast", "--region", "chest", "--sigma", "30", "--device", "cpu")
LONG = ("--quality", "paper", "--region", "abdomen", "--sigma", "60", "--device", "cpu")  # minutes
COMMAND = [sys.executable, "-m", "MedDiffFMLib", "batch", "denoise"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model")


@pytest.fixture(scope="module")
def image(data):
    return sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:68, 20:68, 40:64]


@pytest.fixture
def scans(image, tmp_path):
    """A folder as people have them: three kinds of CT, a broken one, an MR, and what is no CT at all."""
    folder = tmp_path / "scans"
    (folder / "series").mkdir(parents=True)
    sitk.WriteImage(image, str(folder / "a.nii.gz"))
    sitk.WriteImage(image + 3, str(folder / "b.mhd"))
    write_slices(image, folder / "series")
    (folder / "broken.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    sitk.WriteImage(sitk.Cast(sitk.Abs(image) * 3, sitk.sitkUInt16), str(folder / "mr.mha"))
    (folder / "notes.txt").write_text("no CT")
    (folder / "masks").mkdir()
    (folder / ".hidden.nii.gz").write_text("no CT")
    return folder


def write_slices(image, folder):
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(image.GetDepth()):
        one = image[:, :, z]
        position = image.TransformIndexToPhysicalPoint((0, 0, z))
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.1",
            "0008|0018": f"1.2.3.1.{z + 1}",
            "0020|0032": "\\".join(f"{v:.6f}" for v in position),
            "0020|0037": "\\".join(f"{v:.0f}" for v in np.reshape(image.GetDirection(), (3, 3)).T[:2].ravel()),
            "0020|0013": str(z),
        }
        for key, value in tags.items():
            one.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{z:03d}.dcm"))
        writer.Execute(one)


def rows(folder):
    with open(folder / "status.csv", newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def statuses(folder):
    return {name: row["status"] for name, row in rows(folder).items()}


def voxels(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def test_one_bad_file_stops_nothing_and_a_second_run_skips_what_is_done(scans, model, tmp_path, capfd):
    out = tmp_path / "new" / "out"
    command = ["batch", "denoise", str(scans), str(out), *FAST, "--model", str(model)]
    assert main([*command, "--workers", "2"]) == 1
    printed = capfd.readouterr()
    assert statuses(out) == {"a": "done", "b": "done", "series": "done", "broken": "failed", "mr": "failed"}
    assert "3 of 5 done, 2 failed" in printed.out and printed.err.endswith("meddiff-fm: 2 of 5 failed.\n")
    assert "MR" in rows(out)["mr"]["reason"] and "damaged" in rows(out)["broken"]["reason"]
    volumes = ["a.nii.gz", "b.mha", "series.nii.gz"]
    expected = [*volumes, "a.json", "b.json", "series.json", "status.csv"]
    assert sorted(f.name for f in out.iterdir()) == sorted(expected)
    assert main(["denoise", str(scans / "a.nii.gz"), str(tmp_path / "one.nii.gz"), *FAST, "--model", str(model)]) == 0
    np.testing.assert_array_equal(voxels(tmp_path / "one.nii.gz"), voxels(out / "a.nii.gz"))
    assert rows(out)["b"]["outputs"] == "b.mha" and float(rows(out)["b"]["seconds"]) > 0

    before = {f: f.stat().st_mtime_ns for f in out.iterdir() if f.name != "status.csv"}
    (out / "a.nii.gz").unlink()  # as if killed there
    (out / f".{'0' * 32}.part.nii.gz").write_text("left by a killed run")
    sitk.WriteImage(sitk.ReadImage(str(scans / "b.mhd")) + 1, str(scans / "b.mhd"))  # another CT of that name
    (scans / "broken.nrrd").unlink()
    (scans / "mr.mha").unlink()
    (scans / "c.nii.gz").write_bytes((scans / "a.nii.gz").read_bytes())
    (out / "c.nii.gz").write_text("of another maker")
    assert main([*command, "-q"]) == 1
    assert statuses(out) == {"a": "done", "b": "failed", "c": "failed", "series": "skipped"} and hidden(out) == []
    assert "exists already" in rows(out)["b"]["reason"] and "exists already" in rows(out)["c"]["reason"]
    assert before[out / "series.nii.gz"] == (out / "series.nii.gz").stat().st_mtime_ns
    np.testing.assert_array_equal(voxels(tmp_path / "one.nii.gz"), voxels(out / "a.nii.gz"))


def start(scans, out, model, *options):
    command = [*COMMAND, scans, out, "--model", model, *options]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def workers_of(pid):
    """The workers that a process started, by the system."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[1] == str(pid) and b"MedDiffFMLib" in stat.with_name("cmdline").read_bytes():
            found.append(int(stat.parent.name))
    return found


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def gone(pids):
    return not any(
        Path(f"/proc/{pid}/stat").exists()
        and "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2]
        for pid in pids
    )


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_or_a_kill_leaves_no_half_file_and_no_process(scans, model, tmp_path, number):
    """A long job is stopped in the middle; then, after a kill, the batch goes on."""
    out = tmp_path / "out"
    for name in ("broken.nrrd", "mr.mha"):
        (scans / name).unlink()
    batch = start(scans, out, model, *LONG)
    until(lambda: workers_of(batch.pid))
    pids = workers_of(batch.pid)
    time.sleep(4)  # so that most probably they compute
    batch.send_signal(number)
    asked = time.monotonic()
    _, err = batch.communicate(timeout=PATIENCE)
    assert time.monotonic() - asked < 60  # the whole batch takes minutes
    until(lambda: gone(pids))
    assert not [f for f in out.iterdir() if f.suffix in (".gz", ".mha") or f.name.startswith(f".{'0' * 3}")]
    if number == signal.SIGINT:
        assert batch.returncode == 3 and b"0 of 3 done" in err and b"again to go on" in err and b"Trace" not in err
        assert sorted(f.name for f in out.iterdir()) == ["status.csv"]
    assert set(statuses(out).values()) == {"waiting"}
    if number == signal.SIGKILL:
        assert main(["batch", "denoise", str(scans), str(out), "--model", str(model), *FAST, "-q"]) == 0
        assert set(statuses(out).values()) == {"done"} and hidden(out) == []


def test_a_worker_that_dies_fails_its_job_alone(image, model, tmp_path):
    sitk.WriteImage(image, str(tmp_path / "in.nrrd"))
    process = WorkerProcess()
    files = {"input": str(tmp_path / "in.nrrd"), "output": str(tmp_path / "out.nrrd")}
    values = DenoiseParameters(quality="paper", region="abdomen", sigma=60.0).to_dict() | {"model": str(model)}
    request = {"request": "run", "id": "a", "task": "denoise", "files": files, "parameters": values}

    def kill(event):
        if event["event"] == "progress":
            os.kill(process._process.pid, signal.SIGKILL)

    end = process.run(request, kill)
    assert end["kind"] == "crash" and end["message"].startswith("The worker ended by signal 9")
    request["parameters"] = values | {"quality": "fast", "region": "chest"}
    assert process.run(request)["event"] == "result"
    process.close()
    assert process.run(request) == {"event": "cancelled"}


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert cores() == 6 and WorkerProcess(threads=cores() // 2)._environment["OMP_NUM_THREADS"] == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert cores() == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_only_one_batch_writes_to_a_folder(scans, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".batch.lock"):
        batch = Batch("denoise", plan("denoise", scans, out, {}), out)
        with pytest.raises(InputError, match="Another batch"):
            batch.run(DenoiseParameters(), CommonParameters(), on_this_computer(1), lambda b: None)
    assert not (out / "status.csv").exists()


def test_what_a_folder_holds(scans, image):
    assert {name: [p.name for p in paths] for name, paths in find_inputs(scans).items()} == {
        "a": ["a.nii.gz"],
        "b": ["b.mhd"],
        "broken": ["broken.nrrd"],
        "mr": ["mr.mha"],
        "series": ["series"],
    }
    with pytest.raises(InputError, match="is itself one DICOM series"):
        find_inputs(scans / "series")
    with pytest.raises(InputError, match="holds no volumes"):
        find_inputs(scans / "masks")
    with pytest.raises(InputError, match="is not a folder"):
        find_inputs(scans / "a.nii.gz")


def test_inputs_of_one_name_are_failed_and_said_so(scans, image, tmp_path):
    sitk.WriteImage(image, str(scans / "series.mha"))
    entries = {entry.name: entry for entry in plan("denoise", scans, tmp_path / "out", {})}
    assert entries["series"].status == "failed" and "rename one" in entries["series"].reason
    assert entries["a"].status == "waiting"


def test_further_files_by_pattern(scans, tmp_path, monkeypatch):
    register(monkeypatch)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    patterns = {"lesion_mask": "masks/{name}.nii.gz", "findings": "out/tables/{name}.csv"}
    batch = Batch("toy", plan("toy", scans, out, patterns), out)
    from toy_task import ToyParameters

    values = ToyParameters(anatomy="organs/{name}.nrrd")
    request = batch.requests(values, CommonParameters())[0]
    assert request["files"] == {
        "input": str(scans / "a.nii.gz"),
        "output": str(out / "a.nii.gz"),
        "lesion_mask": str(tmp_path / "masks" / "a.nii.gz"),
        "findings": str(out / "tables" / "a.csv"),
    }
    assert request["parameters"]["anatomy"] == str(tmp_path / "organs" / "a.nrrd") and request["resume"]
    with pytest.raises(UsageError, match="--findings names one file for all"):
        plan("toy", scans, out, patterns | {"findings": "all.csv"})


def test_batch_of_a_task_with_two_inputs_offers_and_needs_a_pattern(scans, tmp_path, monkeypatch, capfd):
    register(monkeypatch)
    assert main(["batch", "toy", str(scans), str(tmp_path / "out")]) == 2
    assert "toy needs --lesion-mask for every CT" in capfd.readouterr().err
    assert main(["batch", "toy", "--help"]) == 0
    assert "--lesion-mask" in (printed := capfd.readouterr().out) and "--findings" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{scans}", "{scans}"), "holds the inputs"),
        (("{scans}", "{scans}/notes.txt"), "is a file"),
        (("{scans}/none", "{out}"), "is not a folder"),
        (("{scans}", "{out}", "--sigma", "x"), "--sigma cannot be 'x'"),
        (("{scans}", "{out}", "--model", "nobody"), "no model 'nobody'"),
        (("{scans}", "{out}", "--workers", "0"), "--workers"),
        (("{scans}", "{out}", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "give one of them"),
        (("{scans}", "{out}", "--roi", "5,1,0,9,0,9"), "ascending"),
    ],
)
def test_batches_that_cannot_be(scans, tmp_path, capfd, arguments, message):
    arguments = [text.format(scans=scans, out=tmp_path / "out") for text in arguments]
    assert main(["batch", "denoise", *arguments]) == 2
    printed = capfd.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="pip install meddiff-fm[batch]")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as started:
        yield started


def test_a_dask_cluster_does_the_same(cluster, scans, model, tmp_path, capfd):
    out = tmp_path / "out"
    command = ["batch", "denoise", str(scans), str(out), *FAST, "--model", str(model)]
    assert main([*command, "--scheduler", cluster.scheduler_address]) == 1
    assert statuses(out) == {"a": "done", "b": "done", "series": "done", "broken": "failed", "mr": "failed"}
    assert "MR" in rows(out)["mr"]["reason"]
    record = json.loads((out / "a.json").read_text(encoding="utf-8"))
    assert record["model"]["name"] == "tiny" and hidden(out) == []


@linux
def test_a_stop_ends_the_jobs_of_a_cluster_too(cluster, scans, model, tmp_path):
    nannies = [worker.process.pid for worker in cluster.workers.values()]
    out = tmp_path / "out"
    for name in ("broken.nrrd", "mr.mha", "b.mhd"):
        (scans / name).unlink()
    batch = start(scans, out, model, *LONG, "--scheduler", cluster.scheduler_address)
    until(lambda: all(workers_of(pid) for pid in nannies))
    pids = [pid for nanny in nannies for pid in workers_of(nanny)]
    time.sleep(3)
    batch.send_signal(signal.SIGINT)
    _, err = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == 3 and b"again to go on" in err, err
    until(lambda: gone(pids))
    assert not [f for f in out.iterdir() if f.name.startswith(("a.", "b.", "series"))] and hidden(out) == []


def test_a_cluster_that_does_not_answer(scans, tmp_path, capfd, monkeypatch):
    pytest.importorskip("distributed", reason="pip install meddiff-fm[batch]")
    monkeypatch.setattr("MedDiffFMLib.batch.dask.CONNECT_SECONDS", 1)
    assert main(["batch", "denoise", str(scans), str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "No Dask scheduler answers" in capfd.readouterr().err and not (tmp_path / "out").exists()
