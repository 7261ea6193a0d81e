"""Organs by TotalSegmentator: the whole way but for its network, for which a stand-in answers (Testing/stand_ins says
how it differs from the real package).
"""

import os
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from patience import AT_ONCE

from MedDiffFMLib.anatomy.segmenter import choose_mode, describe, find_organs
from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.parameters import TASKS
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies
from MedDiffFMLib.tasks.inpaint_lesion import inpaint_lesion
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume

nibabel = pytest.importorskip("nibabel", reason="nibabel, which TotalSegmentator takes, is not installed")
FAST, FULL = ("Dataset297_x",), tuple(f"Dataset{n}_x" for n in range(291, 296))


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[10:50, 20:60, 40:56], "abdomen")


@pytest.fixture(scope="module")
def model(tiny_model_with_controls):
    """A tiny model that computes on the scan's own grid: few windows."""
    own = {task: {"spacing_mm": None} for task in ("detect-anomalies", "inpaint-lesion")}
    return replace(tiny_model_with_controls, config=tiny_model_with_controls.config | {"tasks": own})


@pytest.fixture
def installed(segmenter_installed):
    return segmenter_installed


def expected(ct):
    return np.where(ct.voxels > 150, 52, np.where(ct.voxels > -100, 5, 0))


@pytest.mark.parametrize("orientation", ["LPS", "ASR"])
def test_organs_come_by_name_on_the_ct_s_grid(ct, installed, capfd, tmp_path, orientation):
    """The stand-in numbers its classes backwards; nothing is printed, sent or left behind."""
    log = installed(*FAST)
    turned = Volume.from_sitk(sitk.DICOMOrient(ct.to_sitk(), orientation), "turned")
    ticks = []
    organs = find_organs(turned, heartbeat=lambda: ticks.append(1))
    assert np.array_equal(organs.voxels, expected(turned)) and (organs.voxels == 52).sum() > 50
    assert organs.same_grid(turned) and organs.made_by == "totalsegmentator (3 mm)"
    assert capfd.readouterr() == ("", "") and not log.exists() and ticks
    assert [f.name for f in tmp_path.iterdir()] == ["weights"]


def lesion_in(ct):
    z, y, x = np.indices(ct.voxels.shape)
    ball = (z - 8) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 16
    return ct.with_voxels(ball.astype(np.uint8))


TAKES_ANATOMY = {
    "denoise": lambda ct, **options: denoise(ct, sigma=20, quality="fast", **options),
    "detect-anomalies": lambda ct, **options: detect_anomalies(ct, noise_level=300, **options),
    "super-resolve": lambda ct, **options: super_resolve(
        ct, factor=2, quality="fast", steps=1, control="none", **options
    ),
    "inpaint-lesion": lambda ct, **options: inpaint_lesion(ct, lesion_in(ct), steps=2, resample=1, **options),
}


def test_every_task_with_an_anatomy_is_tried_here():
    assert set(TAKES_ANATOMY) == {name for name, task in TASKS.items() if "anatomy" in task.from_dict({}).to_dict()}


@pytest.mark.parametrize("task", TAKES_ANATOMY)
def test_every_task_takes_the_word(ct, installed, model, task):
    """The word gives what a label map of the same organs gives, and the facts say where they came from."""
    installed(*FAST)
    run, options = TAKES_ANATOMY[task], {"model": model, "region": "abdomen"}
    first = lambda result: next(iter(result.outputs().values()))[0].voxels  # noqa: E731
    word = run(ct, anatomy="totalsegmentator", **options)
    assert np.array_equal(first(word), first(run(ct, anatomy=ct.with_voxels(expected(ct).astype(np.uint8)), **options)))
    assert not np.array_equal(first(word), first(run(ct, anatomy="auto", **options)))
    assert word.facts.anatomy == "totalsegmentator (3 mm)"


@pytest.mark.parametrize("task", TAKES_ANATOMY)
def test_every_task_can_be_cancelled_while_it_runs(ct, installed, monkeypatch, model, task):
    log = installed(*FAST)
    monkeypatch.setenv("STAND_IN", "hang")

    def progress(_):
        if log.exists() and log.read_text(encoding="utf-8").count(" "):
            raise Cancelled

    with pytest.raises(Cancelled):
        options = {"model": model, "anatomy": "totalsegmentator", "progress": progress}
        TAKES_ANATOMY[task](ct, region="abdomen", **options)
    assert all(map(ended, log.read_text(encoding="utf-8").split()))


def test_detection_looks_at_an_organ_that_it_found(ct, installed, model):
    installed(*FAST)
    options = {"model": model, "region": "abdomen", "noise_level": 300, "organ": "liver"}
    found = detect_anomalies(ct, anatomy="totalsegmentator", threshold=5.0, **options)
    assert found.facts.organ_ml == round((expected(ct) == 5).sum() * np.prod(ct.spacing) / 1000, 2)
    assert not found.map.voxels[expected(ct) != 5].any() and found.map.voxels[expected(ct) == 5].all()
    assert {row["organ"] for row in found.findings} == {"liver"}
    with pytest.raises(InputError, match="cannot be found by threshold"):
        detect_anomalies(ct, anatomy="auto", **options)


def test_the_full_weights_do_where_the_fast_ones_are_missing(ct, installed, monkeypatch):
    installed(*FULL)
    monkeypatch.setenv("STAND_IN_FAST", "0")
    assert find_organs(ct).made_by == "totalsegmentator (1.5 mm)"


@pytest.mark.parametrize(
    ("datasets", "words"), [((), r"weights are not in .*totalseg_download_weights -t total_fast.*Dataset297"),
                            (FULL[:4], "weights are not in")]
)  # fmt: skip
def test_missing_weights_are_said_before_any_work(ct, installed, tiny_model, datasets, words):
    installed(*datasets)
    with pytest.raises(InputError, match=words):
        denoise(ct, tiny_model, anatomy="totalsegmentator", sigma=20, progress=lambda p: pytest.fail("work began"))
    assert "no weights in" in describe()


def test_a_missing_package_is_said(ct, tiny_model, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed: install it with pip install 'meddiff-fm\[anatomy\]'"):
        denoise(ct, tiny_model, anatomy="totalsegmentator", sigma=20)
    assert "not installed" in describe()


def test_doctor_and_choice_know_the_weights(installed):
    import torch

    installed(*FAST, *FULL)
    assert describe().endswith("weights: total_fast, total")
    assert (choose_mode(), choose_mode(torch.device("cuda:0"))) == ("total_fast", "total")


@pytest.mark.parametrize(("wish", "words"), [("fail", "failed .*no memory left"), ("shift", "another grid")])
def test_failures_are_one_sentence(ct, installed, monkeypatch, tmp_path, wish, words):
    installed(*FAST)
    monkeypatch.setenv("STAND_IN", wish)
    with pytest.raises(InputError, match=words):
        find_organs(ct)
    assert [f.name for f in tmp_path.iterdir()] == ["weights"]


def ended(pid):
    """Whether a process is gone, or a zombie that nobody waited for."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, encoding="utf-8"
    ).stdout.strip()
    return state in ("", "Z") or state.startswith("Z")


@pytest.mark.skipif(os.name != "posix", reason="process groups and ps")
def test_cancelling_ends_it_and_its_children_at_once(ct, installed, monkeypatch, tmp_path):
    log = installed(*FAST)
    monkeypatch.setenv("STAND_IN", "hang")

    def tick():
        if log.exists() and log.read_text(encoding="utf-8").count(" "):
            raise Cancelled

    with pytest.raises(Cancelled):
        find_organs(ct, heartbeat=tick)
    pids = log.read_text(encoding="utf-8").split()
    until = time.monotonic() + AT_ONCE
    while not all(map(ended, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(pids) == 2 and all(map(ended, pids))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["log", "weights"]


def test_the_command_line_takes_the_word(ct, tmp_path, capfd):
    """Without the package: exit code 2, one sentence, no file."""
    from MedDiffFMLib.cli.app import main

    write_volume(ct, tmp_path / "ct.nii.gz")
    code = main(["denoise", str(tmp_path / "ct.nii.gz"), str(tmp_path / "o.nii.gz"), "--anatomy", "totalsegmentator"])
    assert (code, capfd.readouterr().err.count("TotalSegmentator")) in ((2, 1), (2, 2))
    assert not (tmp_path / "o.nii.gz").exists()
