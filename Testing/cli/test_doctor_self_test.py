"""`meddiff-fm doctor --self-test`: well where all is as recorded, red where weights, windows or conditions are not."""

import copy
import json
import os
import shutil
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from tiny_model import save_tiny_controls, save_tiny_model
from typer.testing import CliRunner

from MedDiffFMLib.anatomy import regions
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models import loading
from MedDiffFMLib.models.controlnet_folder import load_controlnet
from MedDiffFMLib.models.folder import set_in_config
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.parameters import TASKS
from MedDiffFMLib.self_test import record as self_test_record
from MedDiffFMLib.self_test.measure import LESION_RADIUS_MM, read_case
from MedDiffFMLib.self_test.record import StatisticCheck, compare, problem_of, record
from MedDiffFMTraining.commands import register


@pytest.fixture
def run(capfd):
    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


def test_every_task_is_measured():
    assert list(self_test_record.MEASURED) == list(TASKS)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The folder of a tiny model whose window holds the whole CT, its statistics recorded by the command: of detection,
    as it has no ControlNet for a lesion, and the other tasks are not asked for.
    """
    folder = save_tiny_model(tmp_path_factory.mktemp("recorded") / "tiny", patch=64)
    set_in_config(folder, "tasks", {"detect-anomalies": {"spacing_mm": None}})
    before = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    few = {task: self_test_record.MEASURED[task] for task in ("detect-anomalies", "inpaint-lesion")}
    register(app := typer.Typer())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(self_test_record, "MEASURED", few)
        done = CliRunner().invoke(app, ["train", "self-test", str(folder)])
    assert done.exit_code == 0 and "inpaint-lesion  left out: The model tiny has no ControlNet" in done.output
    after = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert list(after.pop("self_test")["statistics"]) == ["detect-anomalies"] and after == before
    assert sorted(os.listdir(folder)) == ["README.md", "config.json", "model.safetensors"]
    return folder


@pytest.fixture(scope="module")
def bundled():
    return load_model("meddiff-fm-small", device="cpu")


@pytest.fixture
def spoiled(recorded, tmp_path):
    """A function that makes the recorded model again, with another config.json."""

    def spoil(change):
        folder = tmp_path / "spoiled"
        folder.mkdir()
        shutil.copy(recorded / "model.safetensors", folder)
        config = json.loads((recorded / "config.json").read_text(encoding="utf-8"))
        change(config)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder

    return spoil


def test_the_small_ct_is_a_window_with_a_lesion_in_its_lung():
    case = read_case()
    assert case.ct.voxels.shape == (48, 64, 64) and case.ct.same_grid(case.anatomy)
    ball = 4 / 3 * np.pi * LESION_RADIUS_MM**3
    lesion = case.lesion.voxels > 0
    assert abs(lesion.sum() * 1.5**3 / ball - 1) < 0.03
    assert case.ct.voxels[lesion].mean() < -650 and (case.anatomy.voxels[lesion] == 119).all()
    slices = case.ct.voxels[4:8].astype(float)
    assert np.allclose(case.thick.voxels[1], slices.mean(axis=0)) and case.thick.size_mm == case.ct.size_mm


def test_the_computer_that_recorded_is_well(run, recorded):
    code, out, _ = run("doctor", "--self-test", "--json", "--model", recorded, "--device", "cpu")
    record = json.loads(out)
    assert code == 0 and record["problem"] is None
    assert [line["task"] for line in record["self_test"]] == ["detect-anomalies"] * 4
    assert all(
        line["ok"] and abs(line["value"] - line["expected"]) <= line["tolerance"] for line in record["self_test"]
    )


def test_a_statistic_that_differs_is_named_with_what_to_do(run, spoiled):
    def another_map(config):
        config["self_test"]["statistics"]["detect-anomalies"]["mean of the map, body (HU)"]["expected"] += 1000

    folder = spoiled(another_map)
    code, out, _ = run("doctor", "--self-test", "--model", folder, "--device", "cpu", "--precision", "float32")
    lines = [line.split() for line in out.splitlines() if "detect-anomalies  " in line]
    assert code == 2 and [line[-1] for line in lines] == ["differs", "ok", "ok", "ok"]
    verdict = out.splitlines()[-1]
    assert "for tiny in detect-anomalies (mean of the map, body (HU): " in verdict and "install PyTorch" in verdict


def test_what_to_do_depends_on_where_it_computes(bundled):
    line = StatisticCheck("denoise", "noise after (HU)", float("nan"), 7.2, 0.1)
    advice = {dtype: problem_of([line], replace(bundled, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16)}
    assert not line.ok and line.to_dict()["value"] is None
    assert "install PyTorch" in advice[torch.float32] and "--precision float32" in advice[torch.bfloat16]
    failed = StatisticCheck("denoise", "noise after (HU)", None, 7.2, 0.1, "There is no such setting.")
    assert "in denoise (There is no such setting): do not use" in problem_of([failed], bundled)


def test_statistics_of_another_state_are_refused(run, spoiled):
    folder = spoiled(lambda config: config.update(tasks={"denoise": {"fast": {"nlm_share": 0.5}}}))
    code, out, _ = run("doctor", "--self-test", "--model", folder)
    assert code == 2 and "recorded for other weights or settings" in out and "train self-test FOLDER" in out


def test_a_model_without_statistics_says_so(run, spoiled):
    code, out, _ = run("doctor", "--self-test", "--model", spoiled(lambda config: config.pop("self_test")))
    assert code == 2 and "has no recorded statistics" in out.splitlines()[-1]


def test_nothing_is_recorded_of_a_damaged_controlnet(tmp_path):
    folder = save_tiny_controls(save_tiny_model(tmp_path / "tiny", patch=64))
    weights = folder / "controlnets" / "lesion-lung" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"lesion-lung.* does not have the checksum"):
        record(folder)
    assert "self_test" not in json.loads((folder / "config.json").read_text(encoding="utf-8"))


def test_it_can_be_stopped(run):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # if the command ends before the signal comes
    timer = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        code, out, err = run("doctor", "--self-test", "--model", "meddiff-fm-small")
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert code == 3 and out == "" and "Cancelled" in err


def test_the_bundled_model_computes_what_was_recorded(bundled, monkeypatch):
    """All six tasks, in few evaluations of the network. Where it fails after a change: meddiff-fm train self-test."""
    count, forward = [], bundled.network.forward
    monkeypatch.setattr(bundled.network, "forward", lambda *a, **k: count.append(1) or forward(*a, **k))
    lines = compare(bundled)
    assert problem_of(lines, bundled) is None
    assert {line.task for line in lines} == set(TASKS) and len(count) <= 24


class OtherRegion(torch.nn.Module):
    """The network, given another region."""

    def __init__(self, network):
        super().__init__()
        self.network, self.config = network, network.config

    def forward(self, x, t, position, anatomy, region, residuals=None):
        return self.network(x, t, position, anatomy, (region + 1) % 3, residuals)


def slightly_other_weights(network):
    generator = torch.Generator().manual_seed(0)
    for weights in (other := copy.deepcopy(network)).parameters():
        weights.mul_(1 + 0.02 * torch.randn(weights.shape, generator=generator))
    return other


def test_with_openvino_the_bundled_model_computes_what_was_recorded():
    pytest.importorskip("openvino")
    model = load_model("meddiff-fm-small", device="cpu", precision="float32", runtime="openvino")
    assert problem_of(compare(model), model) is None
    assert model.runtimes == ["openvino"], "U-Net, ControlNets and refiners alike"


@pytest.mark.parametrize("wrong", [OtherRegion, slightly_other_weights])
def test_a_wrong_network_is_seen(bundled, wrong):
    other = replace(bundled, network=wrong(bundled.network))
    lines = compare(other, ["synthesize"])
    assert sum(not line.ok for line in lines) >= 3
    assert "in synthesize (mean of lung (HU): " in problem_of(lines, other)


@pytest.mark.parametrize("damage", ["no anatomy", "position upside down", "another HU window"])
def test_wrong_conditions_are_seen(bundled, monkeypatch, damage):
    right = Conditions.tile

    def window(self, *where):
        position, anatomy = right(self, *where)
        return (position, anatomy * 0) if damage == "no anatomy" else (position.flip(-3), anatomy)

    if damage == "another HU window":
        chest = replace(regions.REGIONS["chest"], window=(-1350.0, 450.0))
        monkeypatch.setitem(regions.REGIONS, "chest", chest)
    else:
        monkeypatch.setattr(Conditions, "tile", window)
    assert not all(line.ok for line in compare(bundled, ["synthesize"]))


def test_a_controlnet_without_effect_is_seen(bundled, monkeypatch):
    def without_effect(*arguments):
        for weights in (control := load_controlnet(*arguments)).parameters():
            weights.zero_()
        return control

    monkeypatch.setattr(loading, "load_controlnet", without_effect)
    bundled._loaded.clear()
    mean, _, outside = compare(bundled, ["inpaint-lesion"])
    bundled._loaded.clear()
    assert not mean.ok and outside.ok
