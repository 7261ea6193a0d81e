"""One run does once what needs doing once: parameters are validated, the CT read and checked, components loaded."""

import gc
import os
import sys
import weakref
from collections import Counter
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.jobs.cache import JobCache
from MedDiffFMLib.jobs.inputs import _read_ct
from MedDiffFMLib.jobs.job import open_job, run_job
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.parameters import TASKS, split_values
from MedDiffFMLib.volumes.io import read_volume, write_volume

COUNTED = {
    "analyze_scan",
    "from_dict",
    "read_volume",
    "check_ct",
    "body_mask",
    "lung_mask",
    "load_network",
    "load_controlnet",
}


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
    cache = JobCache()
    first = cache.volume(chest, _read_ct)
    assert cache.volume(chest, _read_ct) is first and calls["read_volume"] == calls["check_ct"] == 1
    write_volume(replace(first, voxels=first.voxels + 1, grid_record=b""), chest, overwrite=True)
    again = cache.volume(chest, _read_ct)
    assert (again.voxels == first.voxels + 1).all() and calls["read_volume"] == 2
    cache.drop()
    assert cache.volume(chest, _read_ct) is not again


def test_the_voxels_of_a_mhd_file_are_read_anew(chest, tmp_path):
    """They lie in a file of their own, which may change while the header stays."""
    path, image = tmp_path / "ct.mhd", read_volume(chest).to_sitk()
    sitk.WriteImage(image, str(path))
    cache, state = JobCache(), path.stat()
    first = cache.volume(path, _read_ct)
    sitk.WriteImage(image + 1, str(path))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert np.array_equal(cache.volume(path, _read_ct).voxels, first.voxels + 1)


@pytest.fixture
def worker(chest, model, tmp_path):
    """What a worker does with requests about one CT: `look()` and `run()`, with other parameters for the task."""
    loaded, cache = load_model(model, device="cpu", precision="float32"), JobCache()
    files, count = {"input": chest}, iter(range(9))

    def ask(running, seed=1, anatomy="auto", sigma=20.0, **more):
        values = {"quality": "fast", "steps": 2, "seed": seed, "anatomy": anatomy, "sigma": sigma, **more}
        parameters, common = split_values(TASKS["denoise"], values)
        load = lambda *a, **k: loaded  # noqa: E731
        if not running:
            return open_job("denoise", files, parameters, common, cache=cache).look(None, load)
        output = tmp_path / f"{next(count)}.nii.gz"
        run_job("denoise", {**files, "output": output}, parameters, common, events.append, load, cache=cache)
        return read_volume(output).voxels

    events = []
    worker = SimpleNamespace(look=partial(ask, False), run=partial(ask, True), cache=cache, events=events, chest=chest)
    return worker


def test_a_run_takes_the_plan_of_the_estimate_and_makes_what_it_makes_without(worker, calls):
    alone = worker.run()
    reported = [(now.step, now.window) for now in worker.events]
    worker.events.clear()
    worker.look()
    assert calls["analyze_scan"] == 2
    made = worker.run()
    assert calls["analyze_scan"] == 2 and np.array_equal(made, alone)
    steps = [(now.step, now.window) for now in worker.events]
    assert steps == reported[-len(steps) :] and len(steps) > 2 and worker.events[-1].fraction == 1.0
    worker.run()
    assert calls["analyze_scan"] == 3, "a plan is kept for one run"


@pytest.mark.parametrize("change", [{"seed": 2}, {"steps": 3}, {"region": "chest"}, {"roi": "0,60,0,60,-60,60"}])
def test_other_parameters_are_planned_anew(worker, calls, change):
    worker.look()
    before = calls["analyze_scan"]
    try:
        worker.run(**change)
    except InputError as error:
        assert "box" in str(error)
        return
    assert calls["analyze_scan"] > before


def test_another_label_map_of_the_same_name_is_planned_anew(worker, calls, tmp_path):
    ct, path = read_volume(worker.chest), tmp_path / "organs.nii.gz"
    organs = np.where(ct.voxels > -300, 5, 0).astype(np.uint8)  # liver, and above it spleen
    organs[12:][organs[12:] == 5] = 1
    write_volume(ct.with_voxels(organs), path)
    worker.look(anatomy=str(path))
    first = worker.run(anatomy=str(path))
    assert calls["analyze_scan"] == 1
    worker.look(anatomy=str(path))
    write_volume(
        ct.with_voxels(np.where(organs > 0, 6 - organs, 0).astype(np.uint8)), path, overwrite=True
    )  # turned round
    other = worker.run(anatomy=str(path))
    assert calls["analyze_scan"] == 3 and not np.array_equal(first, other)


def test_one_plan_is_kept_and_given_back(worker):
    worker.look()
    plan = weakref.ref(worker.cache._plan)
    worker.look(seed=2)
    gc.collect()
    assert plan() is None and worker.cache._plan is not None
    worker.cache.drop()
    assert worker.cache._plan is None


def test_a_run_refuses_the_noise_that_its_estimate_guessed(worker, model):
    """Without soft tissue an estimate takes 30 HU, and a run asks for a number."""
    air = read_volume(worker.chest)
    write_volume(air.with_voxels(np.full_like(air.voxels, -850)), worker.chest, overwrite=True)
    try:
        assert worker.look(sigma="auto")["noise_hu"] is None
    except InputError:
        pytest.skip("refused before")
    with pytest.raises(InputError, match="--sigma"):
        worker.run(sigma="auto")
