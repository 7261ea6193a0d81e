"""Organs by TotalSegmentator: the whole way but for its network, for which a stand-in answers (Testing/stand_ins says
how it differs from the real package).
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.segmenter import choose_mode, describe, find_organs
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.volume import Volume
from MedDiffFMLib.volume_io import read_volume, write_volume

nibabel = pytest.importorskip("nibabel", reason="nibabel, which TotalSegmentator takes, is not installed")
STAND_INS = Path(__file__).parents[1] / "stand_ins"
FAST, FULL = ("Dataset297_x",), tuple(f"Dataset{n}_x" for n in range(291, 296))


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[10:50, 20:60, 40:56], "abdomen")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The stand-in is found, with weights in a folder (empty files), and its log goes to a file."""

    def install(*datasets, wish=""):
        for dataset in datasets:
            fold = tmp_path / "weights" / dataset / "nnUNetTrainer__nnUNetPlans__3d_fullres" / "fold_0"
            fold.mkdir(parents=True)
            (fold / "checkpoint_final.pth").touch()
        return tmp_path / "log"

    monkeypatch.syspath_prepend(str(STAND_INS))
    for name in [name for name in sys.modules if name.split(".")[0] == "totalsegmentator"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_INS), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield install
    for name in [name for name in sys.modules if name.split(".")[0] == "totalsegmentator"]:
        del sys.modules[name]


def expected(ct):
    return np.where(ct.voxels > 150, 52, np.where(ct.voxels > -100, 5, 0))


@pytest.mark.parametrize("orientation", ["LPS", "ASR"])
def test_organs_come_by_name_on_the_ct_s_grid(ct, installed, capfd, tmp_path, orientation):
    """The stand-in numbers its classes backwards; nothing is printed, sent or left behind."""
    log = installed(*FAST)
    turned = Volume.from_sitk(sitk.DICOMOrient(ct.to_sitk(), orientation), "turned")
    ticks = []
    organs = find_organs(turned, tick=lambda: ticks.append(1))
    assert np.array_equal(organs.voxels, expected(turned)) and (organs.voxels == 52).sum() > 50
    assert organs.same_grid(turned) and organs.made_by == "totalsegmentator (3 mm)"
    assert capfd.readouterr() == ("", "") and not log.exists() and ticks
    assert [f.name for f in tmp_path.iterdir()] == ["weights"]


def test_denoise_takes_the_word(ct, installed, tiny_model, tmp_path):
    """The word gives what a label map of the same organs gives, and the facts say where they came from."""
    installed(*FAST)
    options = {"sigma": 20, "quality": "fast", "region": "abdomen"}
    word = denoise(ct, tiny_model, anatomy="totalsegmentator", **options)
    given = denoise(ct, tiny_model, anatomy=ct.with_voxels(expected(ct).astype(np.uint8)), **options)
    auto = denoise(ct, tiny_model, **options)
    assert np.array_equal(word.volume.voxels, given.volume.voxels)
    assert not np.array_equal(word.volume.voxels, auto.volume.voxels)
    assert word.facts["anatomy"] == "totalsegmentator (3 mm)"


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
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout.strip()
    return state in ("", "Z") or state.startswith("Z")


@pytest.mark.skipif(os.name != "posix", reason="process groups and ps")
def test_cancelling_ends_it_and_its_children_at_once(ct, installed, monkeypatch, tmp_path):
    log = installed(*FAST)
    monkeypatch.setenv("STAND_IN", "hang")

    def tick():
        if log.exists() and log.read_text().count(" "):
            raise Cancelled

    with pytest.raises(Cancelled):
        find_organs(ct, tick=tick)
    pids = log.read_text().split()
    until = time.monotonic() + 5
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
