"""The worker as other programs meet it: a process of its own behind pipes.

The pipe `cat | meddiff-fm worker` of a shell stands in for `ssh host meddiff-fm worker`, which is also a process that
passes on bytes and closes when its input does; the network itself, and another machine's files, are not tried here.
"""

import base64
import dataclasses
import json
import os
import shutil
import signal
import sys
import threading

import numpy as np
import pytest
import SimpleITK as sitk
from patience import PATIENCE
from tiny_model import save_tiny_model
from worker_client import Client

from MedDiffFMLib import __version__
from MedDiffFMLib.parameters import TASKS, CommonParameters
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMLib.worker.files import shrink
from MedDiffFMLib.worker.server import read_lines

FAST = {"quality": "fast", "region": "chest", "sigma": 30, "device": "cpu"}
LONG = {"quality": "paper", "region": "abdomen", "sigma": 60, "device": "cpu"}  # minutes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model")


@pytest.fixture
def folder(tmp_path, data):
    """A job folder with a small real CT, and a home for temporary files, which must stay empty."""
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:68, 20:68, 40:88]
    sitk.WriteImage(image, str(tmp_path / "in.nrrd"))
    return tmp_path


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def shared(temporary):
    """One worker that lives through the tests of this file, whatever they send it."""
    client = Client(env=os.environ | {"TMPDIR": str(temporary)})
    yield client
    client.kill()


@pytest.fixture
def own():
    """Workers that end with the test."""
    started = []

    def start(**options):
        started.append(Client(**options))
        return started[-1]

    yield start
    for client in started:
        client.kill()


def job(key, folder, model, values, **more):
    files = {"input": "in.nrrd", "output": "out.nrrd"}
    parameters = values | {"model": str(model)}
    request = {"request": "run", "id": key, "task": "denoise", "folder": str(folder)}
    return request | {"files": files, "parameters": parameters} | more


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_jobs_with_the_model_loaded_once(shared, folder, model, tmp_path):
    """The model's folder is gone before the second job, which works all the same: the model was kept."""
    copy = shutil.copytree(model, tmp_path / "model")
    shared.send(job("first", folder, copy, FAST))
    done, before = shared.until("result", "error")
    assert done["event"] == "result", done
    assert before[0] == {"event": "accepted", "id": "first", "task": "denoise", "ahead": 0}
    assert {event["event"] for event in before[1:]} == {"progress"} and {e["id"] for e in before} == {"first"}
    assert before[-1]["steps"] == before[-1]["step"] == 1
    shutil.rmtree(copy)
    again = {"input": "in.nrrd", "output": "again.nrrd"}
    shared.send(job("second", folder, copy, FAST, files=again))
    second, _ = shared.until("result", "error")
    assert second["event"] == "result" and second["id"] == "second", second
    assert second["files"]["output"][0]["path"] == str(folder / "again.nrrd")
    record = json.loads((folder / "again.json").read_text(encoding="utf-8"))
    assert second["files"]["output"][0]["provenance"] == str(folder / "again.json")
    assert second["facts"] == record["facts"] and second["seconds"] > 0 and "HU" in second["summary"]
    one, two = (sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f))) for f in ("out.nrrd", "again.nrrd"))
    np.testing.assert_array_equal(one, two)
    shared.send(job("third", folder, copy, FAST | {"precision": "float32"}, files=again | {"output": "x.nrrd"}))
    third, _ = shared.until("result", "error")
    assert third["event"] == "error" and third["kind"] == "missing-model"  # another model: loaded anew


def test_cancel_in_mid_run_leaves_no_file_and_the_next_job_runs(shared, folder, model):
    before = names(folder)
    shared.send(job("long", folder, model, LONG, preview=True))
    shared.until("progress", step=1)
    shared.send({"request": "cancel", "id": "long"})
    end, rest = shared.until("cancelled", "error", "result")
    assert end == {"event": "cancelled", "id": "long"}
    assert len([e for e in rest if e["event"] == "progress"]) <= 3  # a window or two were under way
    assert names(folder) == before
    shared.send(job("next", folder, model, FAST))
    assert shared.until("result", "error")[0]["event"] == "result"


def test_jobs_wait_in_line_and_can_be_cancelled_there(shared, folder, model):
    shared.send(job("runs", folder, model, LONG))
    shared.until("progress", step=0)
    shared.send(job("waits", folder, model, FAST))
    assert shared.until("accepted")[0]["ahead"] == 1
    shared.send({"request": "ping"})
    assert shared.until("pong")[0] == {"event": "pong", "running": "runs", "waiting": ["waits"]}
    shared.send(job("waits", folder, model, FAST))
    assert "in use" in shared.until("error", id="waits")[0]["message"]
    shared.send({"request": "cancel", "id": "waits"})
    assert shared.until("cancelled")[0]["id"] == "waits"
    shared.send({"request": "cancel", "id": "runs"})
    assert shared.until("cancelled")[0]["id"] == "runs"
    shared.send({"request": "cancel", "id": "runs"})
    assert shared.until("error")[0]["kind"] == "usage"
    assert "out.nrrd" not in names(folder)


WRONG = {
    b"{": ("usage", "not a JSON object"),
    b"[1]": ("usage", "not a JSON object"),
    b"\xff\xfe": ("usage", "not a JSON object"),
    b"[" * 100_000: ("usage", "not a JSON object"),
    b"{}": ("usage", "no request None"),
    b'{"request": "fly"}': ("usage", "no request 'fly'"),
    b'{"request": "run", "id": 3}': ("usage", "has no id"),
    b'{"request": "run", "id": "x", "task": "cure"}': ("usage", "There is no task 'cure': use "),
    b'{"request": "run", "id": "x", "task": []}': ("usage", "There is no task"),
    b'{"request": "run", "id": "x", "task": "denoise"}': ("usage", "The file 'input' of denoise is missing"),
    b'{"request": "run", "id": "x", "task": "denoise", "files": 3}': ("usage", "'files' is not an object"),
    b'{"request": "cancel", "id": "nobody"}': ("usage", "no job 'nobody'"),
}


@pytest.mark.parametrize("line", WRONG, ids=range(len(WRONG)))
def test_a_wrong_line_is_answered_and_the_worker_lives_on(shared, line):
    shared.send(line)
    kind, message = WRONG[line]
    event, before = shared.until("error")
    assert event["kind"] == kind and message in event["message"] and event["next"] and before == []
    shared.send({"request": "ping"})
    assert shared.until("pong")[1] == []


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"parameters": {"sigma": "much"}}, "usage", "--sigma cannot be 'much'"),
        ({"parameters": {"sigmo": 3}}, "usage", "no parameter 'sigmo'"),
        ({"parameters": {"roi": "1,2"}}, "usage", "six numbers"),
        ({"files": {"input": "in.nrrd", "output": "x.nrrd", "mask": "m.nrrd"}}, "usage", "no file 'mask'"),
        ({"files": {"input": "none.nrrd", "output": "x.nrrd"}}, "input", "none.nrrd does not exist"),
        ({"files": {"input": "in.nrrd", "output": "x.jpg"}}, "input", "not a format that can be written"),
        ({"files": {"input": "in.nrrd", "output": "in.nrrd"}}, "input", "exists already"),
        ({"parameters": {"model": "nobody"}}, "missing-model", "no model 'nobody'"),
        ({"parameters": {"device": "cuda:99"}}, "input", "no GPU"),
        ({"files": {"input": {"name": "../a.nrrd", "data": ""}, "output": "x.nrrd"}}, "usage", "no usable name"),
        ({"files": {"input": {"name": "a.nrrd", "data": "?"}, "output": "x.nrrd"}}, "usage", "no base64"),
        ({"files": {"input": {"name": "a.nrrd", "data": ""}, "output": "x.nrrd"}}, "input", "damaged"),
        ({"files": {"input": "in.nrrd", "output": "../x.nrrd"}, "inline": True}, "usage", "no usable name"),
    ],
)
def test_jobs_that_cannot_be(shared, folder, temporary, change, kind, message):
    before = names(folder)
    shared.send(job("bad", folder, "tiny", FAST) | change)
    event, _ = shared.until("error", "result")
    assert event["event"] == "error" and event["kind"] == kind and message in event["message"], event
    assert event["id"] == "bad" and names(folder) == before and names(temporary) == []


def test_hello_describes_every_task_as_the_parameters_do(shared):
    shared.send({"request": "hello"})
    hello, _ = shared.until("hello")
    assert (hello["protocol"], hello["version"]) == (1, __version__) and hello["device"]
    assert set(hello["tasks"]) == set(TASKS) and "meddiff-fm-small" in hello["models"]
    for name, task in TASKS.items():
        description = hello["tasks"][name]
        assert description["files"] == json.loads(json.dumps([dataclasses.asdict(slot) for slot in task.files]))
        assert description["help"] == " ".join(task.__doc__.split()) and description["synthetic"] == task.synthetic
        fields = [*dataclasses.fields(task), *dataclasses.fields(CommonParameters)]
        assert [p["name"] for p in description["parameters"]] == [f.name for f in fields]
        for parameter, field in zip(description["parameters"], fields, strict=True):
            expected = json.loads(json.dumps(dict(field.metadata)))
            expected.pop("affects_estimate", None)  # for the panels, which have the parameters themselves
            assert parameter == expected | {"name": field.name, "default": field.default}


def encoded(path):
    return {"name": path.name, "data": base64.b64encode(path.read_bytes()).decode()}


def test_volumes_within_the_lines_through_a_shell_pipe(own, folder, model, tmp_path, temporary):
    """As over ssh: the worker sees none of our files, and leaves none of its own."""
    client = own(
        command=["sh", "-c", f'cat | "{sys.executable}" -m MedDiffFMLib worker'],
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    organs = sitk.ReadImage(str(folder / "in.nrrd")) > 0
    sitk.WriteImage(sitk.Cast(organs, sitk.sitkUInt8) * 51, str(tmp_path / "organs.nrrd"))
    files = {"input": encoded(folder / "in.nrrd"), "output": "out.nrrd"}
    values = FAST | {"anatomy": encoded(tmp_path / "organs.nrrd"), "model": str(model)}
    request = {"request": "run", "id": "a", "task": "denoise", "files": files, "parameters": values, "inline": True}
    client.send(request)
    (folder / "in.nrrd").rename(folder / "there.nrrd")
    result, _ = client.until("result", "error")
    assert result["event"] == "result", result
    (output,) = result["files"]["output"]
    assert output["name"] == "out.nrrd" and json.loads(output["provenance"])["facts"]["anatomy"] == "given"
    (tmp_path / "back.nrrd").write_bytes(base64.b64decode(output["data"]))
    back, source = (sitk.ReadImage(str(folder / f)) for f in ("back.nrrd", "there.nrrd"))
    assert back.GetSize() == source.GetSize() and back.GetOrigin() == source.GetOrigin()
    assert not np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(source))
    assert names(temporary) == []

    client.send(request | {"id": "long", "parameters": LONG | {"model": str(model)}, "preview": True})
    client.until("progress", step=0)
    client.send(request | {"id": "never"})
    code, rest = client.end()  # stdin closes during a job
    assert code == 0 and rest[-1] == {"event": "cancelled", "id": "long"} and names(temporary) == []
    assert "result" not in {event["event"] for event in rest} and b"Traceback" not in client.errors


@pytest.mark.parametrize("how", ["terminate", "reader gone"])
def test_other_ends(own, folder, model, how):
    client = own()
    before = names(folder)
    client.send(job("long", folder, model, LONG))
    client.until("progress")
    if how == "terminate":
        client.process.send_signal(signal.SIGTERM)
    else:
        client.leave()
    assert client.process.wait(PATIENCE) == 0
    assert names(folder) == before and b"Traceback" not in client.errors


def test_previews_are_small_volumes_of_the_estimate(shared, folder, model):
    """A preview lies where the scan lies, with tissue that differs from it, and goes with the job."""
    shared.send(job("look", folder, model, LONG, preview=True))
    while "preview" not in (event := shared.until("progress", "error")[0]):
        assert event["event"] == "progress", event
    shown, source = (sitk.ReadImage(str(p)) for p in (event["preview"]["path"], folder / "in.nrrd"))
    assert shown.GetPixelID() == sitk.sitkInt16 and shown.GetSize() == (72, 72, 72)  # 48 × 1.5 mm, at 1 mm
    a = sitk.GetArrayFromImage(sitk.Resample(shown, source, sitk.Transform(), sitk.sitkLinear, -1000)).astype(float)
    b = sitk.GetArrayFromImage(source).astype(float)
    assert 1 < np.abs(a - b).max() and np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
    shared.send({"request": "cancel", "id": "look"})
    shared.until("cancelled")
    assert names(folder) == ["in.nrrd"]


def test_a_large_volume_is_thinned_for_a_preview():
    voxels = np.arange(200 * 10 * 30, dtype=np.float32).reshape(200, 10, 30) + 0.4
    small = shrink(Volume(voxels, spacing=(1.0, 2.0, 3.0), origin=(5.0, 6.0, 7.0)), limit=10_000)
    assert small.voxels.shape == (100, 5, 15) and small.voxels.dtype == np.int16
    assert small.spacing == (2.0, 4.0, 6.0) and small.origin == (5.0, 6.0, 7.0)
    np.testing.assert_array_equal(small.voxels[3, 2, 1], min(6 * 300 + 4 * 30 + 2, 32767))


def test_what_libraries_print_does_not_reach_the_events(folder, model):
    """Prints of Python, and of code below it that writes to the file descriptor 1 itself."""
    code = (
        "import os, MedDiffFMLib.jobs.job as jobs; real = jobs.run_job\n"
        "def noisy(*a, **k): print('from Python'); os.write(1, b'from C'); return real(*a, **k)\n"
        "jobs.run_job = noisy\nfrom MedDiffFMLib.cli.app import main; raise SystemExit(main(['worker']))"
    )
    client = Client(command=[sys.executable, "-c", code])
    client.send(job("a", folder, model, FAST))
    assert client.until("result", "error")[0]["event"] == "result"
    client.send({"request": "quit"})
    assert client.process.wait(PATIENCE) == 0
    assert client.end() == (0, [])
    assert b"from Python" in client.errors and b"from C" in client.errors


def test_lines_longer_than_a_block_and_without_an_end():
    read, write = os.pipe()
    lines = [b"a" * 3_000_000, b"", b"b", b"c" * 10]

    def feed():
        with os.fdopen(write, "wb") as pipe:
            pipe.write(b"\n".join(lines))

    thread = threading.Thread(target=feed)
    thread.start()
    assert list(read_lines(read)) == lines
    thread.join()
    os.close(read)


def test_looking_tells_what_a_run_would_do_and_writes_nothing(shared, model, folder):
    """The same noise, region and number of network evaluations as the run itself reports; no file."""
    before = sorted(path.name for path in folder.iterdir())
    parameters = {"quality": "balanced", "steps": 2, "device": "cpu", "model": str(model)}
    request = {"id": "look", "task": "denoise", "folder": str(folder), "parameters": parameters}
    shared.send({"request": "look", "files": {"input": "in.nrrd"}, **request})
    looked, _ = shared.until("looked", "error", id="look")
    assert sorted(path.name for path in folder.iterdir()) == before
    shared.send({"request": "run", "files": {"input": "in.nrrd", "output": "out.nrrd"}, **request})
    result, _ = shared.until("result", "error", id="look")
    facts = looked["facts"]
    assert facts["noise_hu"] == result["facts"]["noise_before_hu"]
    for name in ("region", "network_evaluations"):
        assert facts[name] == result["facts"][name]
    assert facts["seconds"] == pytest.approx(facts["network_evaluations"] * facts["seconds_each"])
    assert 0.9 <= facts["memory_gb"] < 2


def test_looking_refuses_what_a_run_would_refuse(shared, folder):
    shared.send({"request": "look", "id": "x", "task": "denoise", "folder": str(folder), "files": {"input": "no.nrrd"}})
    error, _ = shared.until("looked", "error", id="x")
    assert error["kind"] == "input" and "no.nrrd" in error["message"]


def test_looking_of_a_task_without_its_own_look(shared, model, folder):
    request = {"task": "detect-anomalies", "folder": str(folder), "parameters": {"model": str(model)}}
    shared.send({"request": "look", "id": "y", "files": {"input": "in.nrrd"}, **request})
    looked, _ = shared.until("looked", "error", id="y")
    assert looked["facts"]["region"] in ("head-neck", "chest", "abdomen") and looked["facts"]["memory_gb"] > 0
