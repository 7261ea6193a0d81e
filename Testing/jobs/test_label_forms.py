"""Label maps of every form from command line, worker and batch: the same reading, the same words, exit code 2."""

import csv
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from patience import PATIENCE
from tiny_model import save_tiny_model
from worker_client import Client

from MedDiffFMLib.cli.app import main

LIVER, COLON = 5, 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model"))


@pytest.fixture(scope="module")
def abdomen(data):
    """A crop of the real abdomen with liver and colon: CT and TotalSegmentator's labels."""
    read = [sitk.ReadImage(str(data / f"abd_ts_example{end}.nii.gz")) for end in ("", "_seg")]
    return [image[22:50, 26:50, 72:92] for image in read]


@pytest.fixture
def forms(abdomen, tmp_path):
    """A CT and its organs in several forms."""
    ct, seg = abdomen
    sitk.WriteImage(ct, str(tmp_path / "ct.nii.gz"))
    masks = {name: sitk.Cast(seg == n, sitk.sitkUInt8) for name, n in (("liver", LIVER), ("colon", COLON))}
    (tmp_path / "folder").mkdir()
    for name, mask in masks.items():
        assert sitk.GetArrayViewFromImage(mask).any()
        sitk.WriteImage(mask, str(tmp_path / "folder" / f"{name}.nii.gz"))
    sitk.WriteImage(masks["colon"], str(tmp_path / "colon.nii.gz"))
    for name, text in (("bom", b"\xef\xbb\xbf" + b'{"1": "colon"}'), ("swapped", b'{"colon": 1}')):
        sitk.WriteImage(masks["colon"], str(tmp_path / f"{name}.nii.gz"))
        (tmp_path / f"{name}.json").write_bytes(text)
    sitk.WriteImage(masks["colon"], str(tmp_path / "nameless.nii.gz"))
    return tmp_path


def anatomy_sha256(path):
    """Of the label map that a run was given, as its provenance tells."""
    return json.loads(path.read_text(encoding="utf-8"))["anatomy"]["voxels_sha256"]


def expected_sha256(abdomen, *classes):
    labels = sitk.GetArrayFromImage(abdomen[1])
    return hashlib.sha256(np.where(np.isin(labels, classes), labels, 0).astype(np.uint8).tobytes()).hexdigest()


FAST = ["--quality", "fast", "--sigma", "20", "--region", "abdomen"]


@pytest.mark.parametrize(
    ("form", "classes"),
    [("folder", (LIVER, COLON)), ("colon.nii.gz", (COLON,)), ("bom.nii.gz", (COLON,)), ("swapped.nii.gz", (COLON,))],
)
def test_the_command_line_reads_every_form_as_the_same_classes(forms, abdomen, model, form, classes, capsys):
    arguments = [str(forms / "ct.nii.gz"), str(forms / "out.nii.gz"), "--anatomy", str(forms / form), "--model", model]
    assert main(["denoise", *arguments, *FAST, "-q"]) == 0, capsys.readouterr().err
    assert anatomy_sha256(forms / "out.json") == expected_sha256(abdomen, *classes)
    arguments[1] = str(forms / "map.nii.gz")
    assert main(["detect-anomalies", *arguments, "--organ", "gallbladder"]) == 2
    assert "no gallbladder in the anatomy" in capsys.readouterr().err and not (forms / "map.nii.gz").exists()


def test_a_mask_without_a_name_is_refused_everywhere(forms, model, capsys):
    """One sentence from the command line and from the worker; in a batch, the entry's."""
    arguments = [str(forms / "ct.nii.gz"), str(forms / "out.nii.gz")]
    assert main(["denoise", *arguments, "--anatomy", str(forms / "nameless.nii.gz"), "--model", model]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "holds one mask and no name" in line
    client = Client()
    try:
        files = dict(zip(("input", "output"), arguments, strict=True))
        client.send(
            {"request": "run", "id": "a", "task": "denoise", "files": files,
             "parameters": {"anatomy": str(forms / "nameless.nii.gz"), "model": model}}
        )  # fmt: skip
        event, _ = client.until("error", "result")
        assert event["event"] == "error" and "holds one mask and no name" in event["message"]
        look = {"request": "look", "id": "b", "task": "synthesize", "parameters": {"model": model, "quality": "fast"}}
        client.send(look | {"files": {"anatomy": str(forms / "folder"), "output": str(forms / "s.nii.gz")}})
        event, _ = client.until("looked", "error")
        assert event["event"] == "looked" and event["facts"]["region"] == "abdomen"
    finally:
        client.kill()
    assert not (forms / "out.nii.gz").exists()


def test_a_batch_takes_a_folder_of_organs_for_each_ct(forms, abdomen, model):
    (forms / "scans").mkdir()
    for name in ("a", "b"):
        os.link(forms / "ct.nii.gz", forms / "scans" / f"{name}.nii.gz")
        (forms / "organs" / name).mkdir(parents=True)
    for file in (forms / "folder").iterdir():
        os.link(file, forms / "organs" / "a" / file.name)
    os.link(forms / "colon.nii.gz", forms / "organs" / "b" / "tumor.nii.gz")
    arguments = ["denoise", str(forms / "scans"), str(forms / "results"), "--anatomy", str(forms / "organs" / "{name}")]
    assert main(["batch", *arguments, "--model", model, "--workers", "1", *FAST]) != 0
    with open(forms / "results" / "status.csv", encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["a"]["status"] == "done"
    assert anatomy_sha256(forms / "results" / "a.json") == expected_sha256(abdomen, LIVER, COLON)
    assert rows["b"]["status"] == "failed" and "no mask that is named after an organ" in rows["b"]["reason"]


def test_place_lesion_reads_a_folder_and_a_shell_sees_the_warning(forms, abdomen):
    """Of a map without names, in a process of its own: on stderr, once."""
    out = forms / "lesion.nii.gz"
    assert main(["place-lesion", str(forms / "folder"), str(out), "--organ", "liver", "--diameter", "8"]) == 0
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(out))) > 0
    assert mask.any() and (sitk.GetArrayFromImage(abdomen[1])[mask] == LIVER).all()
    sitk.WriteImage(abdomen[1], str(forms / "organs.nii.gz"))
    arguments = [str(forms / "organs.nii.gz"), str(out), "--organ", "liver", "--diameter", "8", "--overwrite"]
    command = [sys.executable, "-m", "MedDiffFMLib", "place-lesion", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Warning: ") and "numbers were taken for TotalSegmentator's" in done.stderr


def test_a_warning_reaches_the_provenance(forms, abdomen, model):
    sitk.WriteImage(abdomen[1], str(forms / "organs.nii.gz"))
    arguments = [str(forms / "ct.nii.gz"), str(forms / "clean.nii.gz"), "--anatomy", str(forms / "organs.nii.gz")]
    assert main(["denoise", *arguments, "--model", model, *FAST]) == 0
    (sentence,) = json.loads((forms / "clean.json").read_text(encoding="utf-8"))["warnings"]
    assert "has no names of its labels: its numbers were taken for TotalSegmentator's" in sentence
