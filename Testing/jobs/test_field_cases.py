"""Inputs as people have them, from the command line, the worker and a batch: the right result, or one sentence.

The witnesses are nibabel and pydicom, and numbers known from how a case was made.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from field_cases import crop, make_all
from tiny_model import save_tiny_controls, save_tiny_model
from worker_client import Client

from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.models.folder import set_in_config
from MedDiffFMLib.volumes.io import read_volume

FAST = {"quality": "fast", "device": "cpu", "sigma": "30", "region": "abdomen", "overlap": "0"}  # few windows
OPTIONS = [word for name, value in FAST.items() for word in (f"--{name}", value)]
# what a refusal must name; a case that is not here must be computed
REFUSED = {
    "F02": "1000.*1024|1024.*1000",
    "F04": "sform.*qform",
    "F05": "qform.*sform|sform.*qform",
    "F07": "right-angled",
    "F11": "geometry|header|grid",
    "F15": "UTF-8",
    "F19": "slice",
}
CTS = ("F01", "F02", "F04", "F05", "F07", "F08", "F10", "F11", "F12", "F15", "F17", "F18", "F19")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return make_all(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save_tiny_controls(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model"))
    own_grid = {"spacing_mm": None}  # 3 mm, not 1 mm: a twentieth of the windows
    set_in_config(folder, "tasks", {"detect-anomalies": own_grid, "inpaint-lesion": own_grid})
    return folder


def request_of(name: str, files: dict[str, Path], output: Path, model: Path) -> dict:
    """The job that a user would run on a case: denoise a CT, or inpaint a lesion where there is a mask."""
    parameters = FAST | {"model": str(model)}
    if "mask" in files:
        parameters = {"kind": "lung", "steps": "2", "device": "cpu", "model": str(model)}
        inputs = {"input": str(files["ct"]), "lesion_mask": str(files["mask"])}
        return {"task": "inpaint-lesion", "files": inputs | {"output": str(output)}, "parameters": parameters}
    if name == "F12":
        parameters["anatomy"] = str(files["anatomy"])
    return {"task": "denoise", "files": {"input": str(files["ct"]), "output": str(output)}, "parameters": parameters}


def shell(request: dict) -> list[str]:
    """The same job as words of the command line."""
    options = [word for key, value in request["parameters"].items() for word in (f"--{key}", value)]
    return [request["task"], *request["files"].values(), *options]


@pytest.mark.parametrize("name", CTS)
def test_the_command_line_computes_or_says_why_not(cases, model, tmp_path, capfd, name):
    output = tmp_path / "out.nii.gz"
    code = main(shell(request_of(name, cases[name], output, model)))
    printed = capfd.readouterr().err
    if name not in REFUSED:
        assert code == 0 and output.exists(), printed
        return
    assert code == 2 and not any(tmp_path.iterdir()), printed
    sentence = [line for line in printed.splitlines() if line.startswith("meddiff-fm: ")]
    assert len(sentence) == 1 and re.search(REFUSED[name], sentence[0], re.DOTALL), printed


def test_the_worker_answers_every_case_and_lives_on(cases, model, tmp_path):
    worker = Client()
    try:
        for name in CTS:
            worker.send(
                request_of(name, cases[name], tmp_path / f"{name}.nrrd", model) | {"request": "run", "id": name}
            )
        ends = {event["id"]: event for event in (worker.until("result", "error", "cancelled")[0] for _ in CTS)}
        worker.send({"request": "ping"})
        assert worker.until("pong")
    finally:
        worker.kill()
    for name, event in ends.items():
        if name in REFUSED:
            assert (event["event"], event["kind"]) == ("error", "input"), (name, event)
            assert re.search(REFUSED[name], event["message"], re.DOTALL), event
        else:
            assert event["event"] == "result", (name, event)


def test_a_batch_lists_every_case(cases, model, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    names = [name for name in CTS if "mask" not in cases[name] and name != "F15"]
    for name in names:
        source = cases[name]["ct"]
        if source.is_dir():
            shutil.copytree(source, scans / name)
        else:
            shutil.copy(source, scans / f"{name}{source.name[source.name.index('.') :]}")
    code, rows = batch_of(scans, tmp_path / "results", model)
    assert code == 1 and set(rows) == set(names)  # some entries failed
    for name, row in rows.items():
        assert row["status"] == ("failed" if name in REFUSED else "done"), row
        assert re.search(REFUSED.get(name, ""), row["reason"], re.DOTALL), row


def test_padding_is_neither_body_nor_noise(cases, model, tmp_path):
    """The corners that a tool filled with 0 HU change nothing: noise as with air there, and the corners stay 0."""
    found = {}
    for role in ("ct", "witness"):
        output = tmp_path / f"{role}.nii.gz"
        options = FAST | {"sigma": "auto", "region": "chest", "model": str(model)}
        assert (
            main(
                shell(
                    {
                        "task": "denoise",
                        "files": {"i": str(cases["F01"][role]), "o": str(output)},
                        "parameters": options,
                    }
                )
            )
            == 0
        )
        found[role] = json.loads(output.with_suffix("").with_suffix(".json").read_text(encoding="utf-8"))
    noise = [found[role]["facts"]["noise_before_hu"] for role in ("ct", "witness")]
    assert noise[0] == pytest.approx(noise[1], rel=0.1) and noise[1] > 10
    assert any("one value (0 HU)" in sentence for sentence in found["ct"]["warnings"])
    before, after = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (cases["F01"]["ct"], tmp_path / "ct.nii.gz")
    )
    assert np.array_equal(after[:, :8, :8], before[:, :8, :8]) and not before[:, :8, :8].any()


@pytest.mark.parametrize("name", ["F08", "F10", "F17"])
def test_hu_of_a_series_are_slope_times_stored_plus_intercept(cases, name):
    """By pydicom, slice by slice."""
    volume = read_volume(cases[name]["ct"])
    for k, path in enumerate(sorted(cases[name]["ct"].iterdir())):
        one = pydicom.dcmread(path)
        hu = one.pixel_array.astype(float) * float(one.RescaleSlope) + float(one.RescaleIntercept)
        assert np.array_equal(volume.voxels[k], hu), path


def test_a_folder_of_organs_and_names_beside_a_map_are_read(cases):
    """Classes 20 (colon) and 21 (urinary bladder) of TotalSegmentator."""
    assert set(np.unique(read_anatomy(cases["F12"]["anatomy"]).voxels)) == {0, 20, 21}
    assert set(np.unique(read_anatomy(cases["F12"]["lone"]).voxels)) == {0, 20}
    for role in ("mark", "turned"):
        assert set(np.unique(read_anatomy(cases["F13"][role]).voxels)) == {0, 20}, role


def batch_of(folder: Path, results: Path, model: Path) -> tuple[int, dict[str, dict]]:
    """Exit code and table, by name, of a batch that denoises a folder."""
    code = main(["batch", "denoise", str(folder), str(results), *OPTIONS, "--model", str(model)])
    with (results / "status.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return code, {row["name"]: row for row in csv.DictReader(file)}


def test_no_patient_of_a_batch_is_left_out_without_a_word(cases, model, tmp_path):
    code, rows = batch_of(cases["F14"]["folder"], tmp_path / "out", model)
    assert code == 0 and len(rows) == 4 and {row["status"] for row in rows.values()} == {"done"}, rows


def test_only_the_name_that_is_not_utf_8_may_fail(cases, model, tmp_path):
    code, rows = batch_of(cases["F15"]["folder"], tmp_path / "out", model)
    status = {name: row["status"] for name, row in rows.items()}
    assert code == 1 and len(rows) == 2 and status.pop("plain") == "done" and set(status.values()) == {"failed"}, rows


def test_masks_of_dicom_come_from_a_deidentified_series(cases, model, tmp_path):
    """What DICOM wants even if it is empty is filled in; all three outputs are there."""
    outputs = ["--mask", str(tmp_path / "mask.dcm"), "--findings", str(tmp_path / "findings.csv")]
    options = ["--model", str(model), "--region", "abdomen", "--organ", "bones", "--device", "cpu", "--draws", "1"]
    assert main(["detect-anomalies", str(cases["F17"]["ct"]), str(tmp_path / "map.nii.gz"), *outputs, *options]) == 0
    mask = pydicom.dcmread(tmp_path / "mask.dcm")
    assert (mask.Modality, mask.PatientBirthDate) == ("SEG", "")
    assert {path.name for path in tmp_path.iterdir()} >= {"mask.dcm", "findings.csv", "map.nii.gz"}


def test_frames_of_an_enhanced_ct_lie_in_their_order(cases):
    volume, image = read_volume(cases["F18"]["ct"]), crop(((40, 72), (30, 62), (20, 32)))
    assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(image))
    assert volume.origin == pytest.approx(image.GetOrigin(), abs=1e-3) and volume.spacing == pytest.approx((3, 3, 3))
