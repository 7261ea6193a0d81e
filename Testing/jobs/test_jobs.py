"""From files to files, for any task: boxes, names of outputs, all or nothing, and what stands from earlier runs."""

import dataclasses
import itertools
import json
import os
import uuid

import numpy as np
import pytest
import SimpleITK as sitk
from toy_task import SEEN, ToyParameters, register
from whole_body import whole_body

from MedDiffFMLib.atomic import remove_partial_files
from MedDiffFMLib.errors import InputError, UsageError
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.jobs.outputs import output_paths
from MedDiffFMLib.parameters import CommonParameters
from MedDiffFMLib.volumes.checks import check_ct


@pytest.fixture
def task(monkeypatch, tiny_model):
    """The toy task, run on files by their names; the model is loaded by nobody."""
    register(monkeypatch)

    def run(files, parameters=None, resume=False, model=tiny_model, progress=None, **common):
        common = CommonParameters.from_dict(common)
        values = ToyParameters.from_dict(parameters or {})
        return run_job("toy", files, values, common, progress, load=lambda *a, **k: model, resume=resume)

    return run


@pytest.fixture
def files(tmp_path, data):
    """A real CT at an oblique axis order, (x, y, z) 60 × 50 × 40 voxels of 1.5 mm, and a mask on another grid."""
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:80, 20:70, 40:80]
    image.SetDirection((0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    mask = sitk.Cast(image > 100, sitk.sitkUInt8)
    sitk.WriteImage(mask[5:55, 5:45, 5:35], str(tmp_path / "mask.nrrd"))
    sitk.WriteImage(mask * 51, str(tmp_path / "organs.nrrd"))
    return {"input": tmp_path / "ct.nrrd", "lesion_mask": tmp_path / "mask.nrrd", "output": tmp_path / "out.nrrd"}


def test_a_job_tells_how_far_it_is_and_shows_what_it_makes(task, files):
    events = []
    task(files, progress=events.append)
    assert [now.fraction for now in events] == [0.0, 1.0]
    assert np.array_equal(events[-1].preview().voxels, read(files["output"]) - 1)


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def inside(path, low, high):
    """By ITK, voxel by voxel: bool (z, y, x), whether a voxel's center lies in a box (RAS, mm)."""
    image = sitk.ReadImage(str(path))
    found = np.zeros(image.GetSize()[::-1], bool)
    for index in itertools.product(*map(range, image.GetSize())):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        found[index[::-1]] = all(a <= v <= b for a, v, b in zip(low, (-x, -y, z), high, strict=True))
    return found


def test_a_box_changes_the_voxels_within_it_and_no_others(task, files, tmp_path):
    low, high = (0.0, -70.0, -50.0), (33.3, -30.2, 10.9)
    roi = ",".join(f"{a},{b}" for a, b in zip(low, high, strict=True))
    more = {"map": tmp_path / "map.nrrd", "mask": tmp_path / "mask-out.nrrd"}
    anatomy = {"anatomy": str(tmp_path / "organs.nrrd")}
    task(files | more, anatomy, roi=roi)
    box = inside(files["input"], low, high)
    assert 1000 < box.sum() < box.size / 2
    np.testing.assert_array_equal(read(files["output"]) - read(files["input"]), box)
    np.testing.assert_array_equal(read(more["map"]), box)
    np.testing.assert_array_equal(read(more["mask"]), box)
    for name in ("GetOrigin", "GetDirection", "GetSpacing"):
        before, after = (getattr(sitk.ReadImage(str(files[f])), name)() for f in ("input", "output"))
        assert before == after
    seen, where = SEEN[0], np.argwhere(box)
    shape = tuple(where.max(axis=0) - where.min(axis=0) + 1)
    assert seen["volume"].voxels.shape == seen["mask"].voxels.shape == seen["anatomy"].voxels.shape == shape
    np.testing.assert_array_equal(seen["anatomy"].voxels.ravel(), read(tmp_path / "organs.nrrd")[box])
    record = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert record["parameters"]["roi"] == roi and record["facts"]["box_size"] == list(shape[::-1])
    assert record["source"]["size"] == [60, 50, 40]  # the scan, not the box


def test_the_region_is_that_of_the_whole_scan(task, files, data):
    """A box in the heart alone shows no lung and would pass for an abdomen; the scan around it is a chest's."""
    whole = data / "chest_ts_aorta.nii.gz"
    center = sitk.ReadImage(str(whole)).TransformContinuousIndexToPhysicalPoint((60, 60, 50))
    x, y, z = -center[0], -center[1], center[2]
    roi = f"{x - 12},{x + 12},{y - 12},{y + 12},{z - 12},{z + 12}"
    mask = sitk.ReadImage(str(whole)) > 100
    sitk.WriteImage(mask, str(files["lesion_mask"]))
    task(files | {"input": whole}, roi=roi)
    task(files | {"input": whole}, roi=roi, parameters={"region": "head-neck"}, overwrite=True)
    assert [seen["region"] for seen in SEEN] == ["chest", "head-neck"]


def test_a_box_in_a_whole_body_has_the_region_that_it_lies_in(task, files, data):
    """Of 340 mm from −200 mm up, the lower 120 are abdomen, the next 120 chest, and a head above."""
    scan, _ = whole_body(data)
    sitk.WriteImage(scan.to_sitk(), str(files["input"]))
    sitk.WriteImage(sitk.Cast(scan.to_sitk() > 100, sitk.sitkUInt8), str(files["lesion_mask"]))
    for low, high in ((-190, -120), (-60, 20), (60, 130)):
        task(files, roi=f"-900,900,-900,900,{low},{high}", overwrite=True)
    assert [seen["region"] for seen in SEEN] == ["abdomen", "chest", "head-neck"]


def test_a_box_is_not_judged_apart_from_its_scan(task, files, tmp_path):
    """What a box shows would be refused as a file of its own: contrast at 600 HU between clips looks like a lung whose
    sign is turned.
    """
    image = sitk.ReadImage(str(files["input"]))
    voxels = sitk.GetArrayFromImage(image)
    voxels[10:24, 10:24, 10:24] = np.random.default_rng(0).normal(600, 20, (14, 14, 14))
    voxels[12:14, 12:14, 12:14] = -400
    filled = sitk.GetImageFromArray(voxels)
    filled.CopyInformation(image)
    sitk.WriteImage(filled, str(tmp_path / "filled.nrrd"))
    sitk.WriteImage(filled[10:24, 10:24, 10:24], str(tmp_path / "alone.nrrd"))
    with pytest.raises(InputError, match="sign turned"):
        task(files | {"input": tmp_path / "alone.nrrd"})
    ends = np.array([filled.TransformContinuousIndexToPhysicalPoint([i, i, i]) for i in (9.9, 23.1)]) * (-1, -1, 1)
    roi = ",".join(f"{a},{b}" for a, b in zip(ends.min(axis=0), ends.max(axis=0), strict=True))
    task(files | {"input": tmp_path / "filled.nrrd"}, parameters={"region": "chest"}, roi=roi)
    check_ct(SEEN[-1]["volume"])  # as each task does
    np.testing.assert_array_equal(read(files["output"])[10:24, 10:24, 10:24], voxels[10:24, 10:24, 10:24] + 1)


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        ("500,600,0,100,0,100", "lies outside of .*ct.nrrd, which covers x .* mm"),
        ("0,33,-70,-65,-50,10", "needs 16 mm along each axis"),
        ("0,33,-70,-69.9,-50,10", "needs 16 mm along each axis"),
        ("33,0,-70,-30,-50,10", "--roi has x from 33 to 0: give each pair ascending"),
        ("0,33,-70,-30,-50", "use six numbers"),
        ("0,33,-70,-30,-50,nan", "use six numbers"),
    ],
)
def test_boxes_that_cannot_be(task, files, tmp_path, roi, message):
    with pytest.raises(InputError, match=message):
        task(files, roi=roi)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["ct.nrrd", "mask.nrrd", "organs.nrrd"] and not SEEN


def test_a_box_reaching_beyond_the_scan_is_cut(task, files):
    task(files, roi="-900,900,-900,900,-900,900")
    np.testing.assert_array_equal(read(files["output"]), read(files["input"]) + 1)


@pytest.mark.parametrize(
    ("output", "mask", "samples"),
    [("out.nii.gz", "out.nrrd", 1), ("out.nrrd", "out.nrrd", 1), ("out.mha", "out.nrrd", 2), ("a.mha", "a-2.nrrd", 2)],
)
def test_outputs_whose_provenance_would_be_one_file_are_refused(task, files, tmp_path, output, mask, samples):
    numbered = {"output": tmp_path / output, "mask": tmp_path / mask}
    if mask == "a-2.nrrd":  # a-2-1.nrrd and a-2-2.nrrd: no clash
        assert len(output_paths("toy", files | numbered, ToyParameters(samples=2))) == 2
        return
    before = times(tmp_path)
    with pytest.raises(InputError, match="would both write out"):
        task(files | numbered, {"samples": samples})
    assert times(tmp_path) == before and not SEEN


def test_samples_and_tables_are_written_with_their_names(task, files, tmp_path):
    report = task(files | {"findings": tmp_path / "found.csv"}, {"samples": 2})
    assert [p.name for p in report.written["output"]] == ["out-1.nrrd", "out-2.nrrd"]
    assert (read(tmp_path / "out-2.nrrd") - read(tmp_path / "out-1.nrrd") == 1).all()
    assert (tmp_path / "found.csv").read_text(encoding="utf-8").splitlines() == ["organ,volume_ml", "liver,1.5"]


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_an_equal_run_is_not_done_again_and_another_is(task, files, tmp_path, tiny_model):
    files = files | {"mask": tmp_path / "found.nrrd", "findings": tmp_path / "found.csv"}
    assert not task(files, resume=True).skipped
    before = times(tmp_path)
    assert task(files, resume=True, device="cpu").skipped and len(SEEN) == 1 and times(tmp_path) == before
    others = {
        "parameters": lambda: task(files, {"region": "chest"}, resume=True),
        "box": lambda: task(files, resume=True, roi="-900,900,-900,900,-900,900"),
        "model": lambda: task(files, resume=True, model=dataclasses.replace(tiny_model, sha256="1" * 64)),
        "anatomy": lambda: task(files, {"anatomy": str(tmp_path / "organs.nrrd")}, resume=True),
        "input": lambda: task(files | {"input": tmp_path / "organs-ct.nrrd"}, resume=True),
    }
    sitk.WriteImage(sitk.ReadImage(str(files["input"])) + 1, str(tmp_path / "organs-ct.nrrd"))
    before = times(tmp_path)
    for name, other in others.items():
        with pytest.raises(InputError, match="exists already"):
            other()
        assert times(tmp_path) == before, name


def test_another_label_map_of_the_same_name_is_another_run(task, files, tmp_path):
    organs = tmp_path / "organs.nrrd"
    assert not task(files, {"anatomy": str(organs)}, resume=True).skipped
    assert task(files, {"anatomy": str(organs)}, resume=True).skipped
    sitk.WriteImage(sitk.ReadImage(str(organs)) // 51 * 52, str(organs))
    with pytest.raises(InputError, match="exists already"):
        task(files, {"anatomy": str(organs)}, resume=True)


@pytest.mark.parametrize("lost", ["out.nrrd", "found.nrrd", "found.csv", "found.nrrd found.json"])
def test_what_a_killed_run_left_is_finished(task, files, tmp_path, lost):
    files = files | {"mask": tmp_path / "found.nrrd", "findings": tmp_path / "found.csv"}
    task(files)
    for name in lost.split():
        (tmp_path / name).unlink()
    report = task(files, resume=True)
    assert not report.skipped and len(SEEN) == 2
    assert {"out.nrrd", "out.json", "found.nrrd", "found.json", "found.csv"} <= set(times(tmp_path))


def test_a_volume_of_another_maker_is_not_replaced(task, files, tmp_path):
    files["output"].write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        task(files, resume=True)
    assert files["output"].read_bytes() == b"mine"
    assert not task(files, resume=True, overwrite=True).skipped


def test_a_kill_between_the_files_never_leaves_a_volume_without_provenance(task, files, tmp_path, monkeypatch):
    moved = []

    def replace(source, target):
        if len(moved) == 1:
            raise KeyboardInterrupt
        if not target.name.startswith("."):  # into its own name
            moved.append(target.name)
        real(source, target)

    real = os.replace
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        task(files | {"mask": tmp_path / "found.nrrd"})
    assert len(moved) == 1 and (not files["output"].exists() or (tmp_path / "out.json").exists())


def test_sweeping_removes_hidden_names_of_ours_alone(tmp_path):
    code = uuid.uuid4().hex
    ours = [f".{code}.part.nii.gz", f".{code}.part.nii", f".{code}.part.json", f".{code}.part"]
    others = [".hidden", "out.nii.gz", ".git", f"{code}.part.nii.gz", f".{code}", ".out.part"]
    for name in (*ours, *others):
        (tmp_path / name).write_text("x")
    assert remove_partial_files(tmp_path) == len(ours)
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(others)


def test_refusals_of_parameters_are_of_the_kind_usage():
    with pytest.raises(UsageError):
        CommonParameters.from_dict({"roi": "1,2"})
