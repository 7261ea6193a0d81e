"""One run does once what needs doing once: parameters are validated, the CT read and checked, components loaded."""

import sys
from collections import Counter
from dataclasses import replace

import pytest
from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.jobs.inputs import LastVolume
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.volumes.io import read_volume, write_volume

COUNTED = {"from_dict", "read_volume", "check_ct", "body_mask", "lung_mask", "load_network", "load_controlnet"}


@pytest.fixture
def calls():
    """How often functions of the library are called, by name, and `Parameters.from_dict` by the class."""
    counts = Counter()

    def note(frame, event, argument):
        name = frame.f_code.co_name
        if event == "call" and name in COUNTED and "MedDiffFMLib" in frame.f_code.co_filename:
            counts[f"{frame.f_locals['cls'].__name__}" if name == "from_dict" else name] += 1

    sys.setprofile(note)
    yield counts
    sys.setprofile(None)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_controls(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny", patch=16))


@pytest.fixture
def chest(data, tmp_path):
    whole = read_volume(data / "chest_ts_aorta.nii.gz")
    path = tmp_path / "chest.nii.gz"
    write_volume(replace(whole, voxels=whole.voxels[40:64, 30:70, 30:70].copy(), grid_record=b""), path)
    return path


def test_denoise(chest, model, tmp_path, calls):
    options = ["--model", str(model), "--quality", "fast", "--sigma", "20", "--region", "chest", "--device", "cpu"]
    assert main(["denoise", str(chest), str(tmp_path / "out.nii.gz"), *options]) == 0
    once = ("DenoiseParameters", "CommonParameters", "read_volume", "check_ct", "body_mask", "load_network")
    assert {name: calls[name] for name in once} == dict.fromkeys(once, 1)


def test_lungs_are_looked_for_once(chest, model, tmp_path, calls):
    """By the body, the region, the parts of a whole body and the tissue."""
    options = ["--model", str(model), "--sigma", "20", "--anatomy", "threshold", "--device", "cpu"]
    assert main(["denoise", str(chest), str(tmp_path / "out.nii.gz"), "--quality", "fast", *options]) == 0
    assert (calls["body_mask"], calls["lung_mask"]) == (1, 1)


def test_a_controlnet_is_loaded_once_for_a_model(model, calls):
    loaded = load_model(model, device="cpu", precision="float32")
    assert loaded.controlnet("super-resolution") is loaded.controlnet("super-resolution", kinds=("thick-ct",))
    assert calls["load_controlnet"] == 1
    first = loaded.controlnet("super-resolution")
    assert replace(loaded, name="other").controlnet("super-resolution") is not first
    save_tiny_controls(model)  # another one under the same name
    assert loaded.controlnet("super-resolution") is not first


def test_a_worker_reads_the_ct_of_a_look_once_and_again_when_it_changed(chest, calls):
    last = LastVolume()
    first = last.read(chest)
    assert last.read(chest) is first and calls["read_volume"] == calls["check_ct"] == 1
    write_volume(replace(first, voxels=first.voxels + 1, grid_record=b""), chest, overwrite=True)
    again = last.read(chest)
    assert (again.voxels == first.voxels + 1).all() and calls["read_volume"] == 2
    last.drop()
    assert last.read(chest) is not again
