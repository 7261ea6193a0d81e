"""A new task is one file of parameters and one file with its plan: command line, worker and batches have it then. The
toy task stands for it, with a tiny model that it does not use.
"""

import json
import threading

import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_model
from toy_task import SEEN, register

from MedDiffFMLib.batch.batch import Batch, plan
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.parameters import CommonParameters
from MedDiffFMLib.worker.server import Worker


@pytest.fixture
def files(tmp_path, data, monkeypatch):
    """A CT and a mask; the toy task is there."""
    register(monkeypatch)
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:60, 20:60, 40:60]
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(sitk.Cast(image > 100, sitk.sitkUInt8), str(tmp_path / "mask.nrrd"))
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny", patch=16)


class HereWorker:
    """A worker in this process: takes requests, and gives each one's last event."""

    def __init__(self):
        self.events, self._ended = [], threading.Event()

    def run(self, request):
        worker = Worker(self._hear)
        self._ended.clear()
        threading.Thread(target=worker.read_requests, args=(self._lines(request),), daemon=True).start()
        worker.work()
        return self.events[-1]

    def _lines(self, request):
        yield json.dumps(request).encode() + b"\n"
        assert self._ended.wait(60)

    def _hear(self, event):
        self.events.append(event)
        if event["event"] in ("result", "looked", "error", "cancelled"):
            self._ended.set()


def is_one_more(files, output):
    before, after = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (files / "ct.nrrd", output))
    return (after == before + 1).all()


def test_on_the_command_line(files, model, capsys):
    words = [str(files / name) for name in ("ct.nrrd", "mask.nrrd", "out.nrrd")]
    assert main(["toy", *words, "--region", "chest", "--model", str(model), "--device", "cpu"]) == 0
    assert is_one_more(files, files / "out.nrrd") and SEEN[0]["region"] == "chest"
    assert json.loads((files / "out.json").read_text())["task"] == "toy"
    assert main(["toy", "--help"]) == 0 and "Add one HU." in capsys.readouterr().out


def request(files, model, output, kind="run"):
    named = {"input": "ct.nrrd", "lesion_mask": "mask.nrrd"} | ({"output": output} if kind == "run" else {})
    named = {name: str(files / file) for name, file in named.items()}
    values = {"model": str(model), "device": "cpu"}
    return {"request": kind, "id": kind, "task": "toy", "files": named, "parameters": values}


def test_in_the_worker(files, model):
    looked = HereWorker().run(request(files, model, None, "look"))
    assert looked["event"] == "looked" and looked["facts"]["network_evaluations"] == 1
    assert looked["facts"]["seconds"] == 0.5 and not SEEN
    assert HereWorker().run(request(files, model, "out.nrrd"))["event"] == "result"
    assert is_one_more(files, files / "out.nrrd")


def test_in_a_batch(files, model):
    (files / "scans").mkdir()
    (files / "ct.nrrd").rename(files / "scans" / "a.nrrd")
    patterns = {"lesion_mask": str(files / "mask.nrrd")}
    batch = Batch("toy", plan("toy", files / "scans", files / "out", patterns), files / "out")
    from toy_task import ToyParameters

    common = CommonParameters.from_dict({"model": str(model), "device": "cpu"})
    batch.run(
        ToyParameters(),
        common,
        lambda requests, read_requests: (HereWorker().run(one) for one in requests),
        lambda entry: None,
    )
    assert [entry.status for entry in batch.entries] == ["done"]
