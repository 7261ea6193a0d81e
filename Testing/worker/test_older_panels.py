"""Panels of an earlier version with today's worker: their requests, as they were recorded, and what they read of it."""

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_controls, save_tiny_model
from worker_client import Client

CHOSEN = {"model": "tiny", "region": "chest", "device": "auto", "seed": "1234567"}
CT = {"input": "job-1/input.nrrd"}
ORGANS = {"anatomy": "job-1/anatomy.nrrd"}
LESION = {"lesion_mask": "job-1/lesion_mask.nrrd"}
# task: (inputs, outputs, parameters), from the panels at commit 848f4b4, the last before protocol numbers were sent;
# their folder was named from where the worker works, here "job-1"
RECORDED = {
    "denoise": (CT, ["output"], {"quality": "balanced", "steps": "2", "anatomy": "none", "sigma": "auto"}),
    "detect-anomalies": (CT, ["output_map"], {"organ": "body", "min_volume": "0.1", "anatomy": "threshold"}),
    "super-resolve": (CT, ["output"], {"quality": "balanced", "steps": "2", "spacing": "0.75", "anatomy": "none"}),
    "inpaint-lesion": (CT | LESION, ["output"], {"kind": "lung", "steps": "2", "samples": "1", "anatomy": "none"}),
    "synthesize": (ORGANS, ["output"], {"quality": "balanced", "steps": "2", "samples": "1"}),
    "generate-lesion": (ORGANS | LESION, ["output"], {"quality": "balanced", "kind": "lung", "steps": "2"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory, data):
    """What the worker finds: a model, a CT, its organs as a segmentation of Slicer, and a lesion."""
    home = tmp_path_factory.mktemp("home")
    save_tiny_controls(save_tiny_model(home / "models" / "tiny", patch=16))
    (home / "job-1").mkdir()
    ct = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:60, 20:60, 50:74]
    sitk.WriteImage(ct, str(home / "job-1" / "input.nrrd"))
    for name, label, low, high in (("anatomy", "lung_upper_lobe_left", 4, 20), ("lesion_mask", "Lesion", 9, 14)):
        voxels = np.zeros((24, 40, 40), np.uint8)
        voxels[low:high, 10 + low : 10 + high, 10 + low : 10 + high] = 1
        image = sitk.GetImageFromArray(voxels)
        image.CopyInformation(ct)
        for key, value in {"ID": "Segment_1", "Name": label, "LabelValue": "1", "Layer": "0"}.items():
            image.SetMetaData(f"Segment0_{key}", value)
        sitk.WriteImage(image, str(home / "job-1" / f"{name}.nrrd"))
    return home


@pytest.fixture(scope="module")
def worker(home):
    client = Client(env=os.environ | {"MEDDIFF_FM_HOME": str(home)}, cwd=home)
    yield client
    client.kill()


def request(kind, task, key):
    files, outputs, parameters = RECORDED[task]
    files = {name: path.removeprefix("job-1/") for name, path in files.items()}
    if kind == "run":
        files |= {name: f"{task}-{name}.nrrd" for name in outputs}
    whole = {"request": kind, "id": key, "task": task, "files": files, "parameters": CHOSEN | parameters}
    return whole | {"preview": kind == "run", "folder": "job-1"}


@pytest.mark.parametrize("task", RECORDED)
def test_an_older_panel_gets_its_estimate(worker, task):
    worker.send(request("look", task, f"look {task}"))
    event, before = worker.until("looked", "error", id=f"look {task}")
    assert event["event"] == "looked", event
    assert [one["event"] for one in before if one["event"] != "progress"] == ["accepted"]
    assert event["warnings"] == [] or all(isinstance(one, str) for one in event["warnings"])
    facts = event["facts"]
    assert facts["region"] == "chest" and facts["memory_gb"] > 0 and facts["memory_here_gb"] > 0
    assert facts["seconds"] is None or facts["seconds"] > 0
    assert "noise_hu" in facts or task != "denoise"


def test_an_older_panel_gets_its_result(worker, home):
    worker.send(request("run", "denoise", "run"))
    event, before = worker.until("result", "error", id="run")
    assert event["event"] == "result", event
    assert isinstance(event["summary"], str) and event["warnings"] == []
    (file,) = event["files"]["output"]
    assert sitk.ReadImage(str(home / file["path"])).GetSize() == (40, 40, 24)
    record = json.loads((home / file["provenance"]).read_text(encoding="utf-8"))
    assert record["model"]["name"] == "tiny" and record["parameters"]["seed"] == 1234567
    assert {"task", "synthetic", "notice", "seconds", "computed", "versions"} <= record.keys()
    assert {"noise_before_hu", "noise_after_hu"} <= record["facts"].keys()
    (first, *_), moved = before, [one for one in before if one["event"] == "progress"]
    assert first["event"] == "accepted" and moved
    assert all({"step", "steps", "fraction", "seconds_left"} <= one.keys() for one in moved)


@pytest.mark.parametrize("task", [task for task in RECORDED if task != "denoise"])
def test_an_older_panel_gets_the_result_of_every_task(worker, home, task):
    worker.send(request("run", task, f"run {task}"))
    event, _before = worker.until("result", "error", id=f"run {task}")
    assert event["event"] == "result", event
    for files in event["files"].values():
        for file in files:
            assert sitk.ReadImage(str(home / file["path"])).GetSize()[:2] == (40, 40)


def test_an_older_panel_learns_who_the_worker_is(worker):
    worker.send({"request": "hello", "id": "who"})
    event, _before = worker.until("hello", id="who")
    assert event["protocol"] == 1 and event["models"] == ["meddiff-fm-small", "tiny"]
    assert {"torch", "memory_gb", "gpu", "advice"} <= event["system"].keys() and isinstance(event["device"], str)


@pytest.mark.parametrize("kind", ["run", "look"])
def test_a_panel_of_another_protocol_is_refused_in_a_sentence(worker, kind):
    worker.send(request(kind, "denoise", f"later {kind}") | {"protocol": 2})
    event, before = worker.until("error", "accepted", id=f"later {kind}")
    assert event["kind"] == "usage" and before == []
    assert event["message"] == "The request speaks protocol 2 and this worker 1: update the older one."
    worker.send(request("look", "denoise", f"same {kind}") | {"protocol": 1})
    assert worker.until("looked", "error", id=f"same {kind}")[0]["event"] == "looked"
