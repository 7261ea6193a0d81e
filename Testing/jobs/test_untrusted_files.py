"""Files that lie about where they are or what their values mean, by every way in: command line, worker and batch."""

import csv
import json
import struct
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_controls, save_tiny_model
from worker_client import Client

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.volumes.io import write_volume
from MedDiffFMLib.volumes.volume import Volume

FAST = {"quality": "fast", "region": "chest", "sigma": "30", "device": "cpu"}
SENTENCES = {  # of what is refused, by the file's name
    "forms.nii": "says two things about where its voxels lie",
    "mirrored.nii": "axes RPS",
    "tilt.nrrd": "a gantry tilt",
    "offset.nrrd": "subtract 1024 from all voxels, or 1000",
    "units.mha": "DistanceUnits",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_controls(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model"))


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:68, 20:68, 40:64]
    return Volume.from_sitk(sitk.Cast(image, sitk.sitkInt16))


@pytest.fixture(scope="module")
def scans(ct, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    write_volume(ct, folder / "forms.nii")
    raw = bytearray((folder / "forms.nii").read_bytes())
    struct.pack_into("<f", raw, 88, 1.0)  # pixdim[3], which the qform uses
    (folder / "forms.nii").write_bytes(raw)
    write_volume(ct, folder / "mirrored.nii")
    image = nibabel.load(folder / "mirrored.nii")
    mirror = image.affine.copy()
    mirror[0] *= -1
    image.set_sform(mirror, 2)
    (folder / "mirrored.nii").write_bytes(image.to_bytes())
    write_volume(ct, folder / "tilt.nrrd")
    text = (folder / "tilt.nrrd").read_bytes()
    (folder / "tilt.nrrd").write_bytes(text.replace(b"(0,0,1.5)", b"(0,0.5,1.4)").replace(b"(0,0,1.5", b"(0,0.5,1.4"))
    offset = np.clip(ct.voxels + 1024, 0, None)
    offset[0, 0, 0] = -2000
    write_volume(ct.with_voxels(offset), folder / "offset.nrrd")
    write_volume(ct, folder / "units.mha")
    text = (folder / "units.mha").read_bytes()
    (folder / "units.mha").write_bytes(text.replace(b"CompressedData", b"DistanceUnits = um\nCompressedData", 1))
    blanked = ct.voxels.copy()
    blanked[:, :14, :14] = 0
    write_volume(ct.with_voxels(blanked), folder / "blanked.nii.gz")
    return folder


@pytest.mark.parametrize("name", SENTENCES)
def test_the_command_line_refuses_it(scans, name, tmp_path, capfd):
    assert main(["denoise", str(scans / name), str(tmp_path / "out.nii.gz")]) == 2
    printed = capfd.readouterr().err.strip()
    assert printed.count("\n") == 0 and name in printed and SENTENCES[name] in printed
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_tells_of_padding_and_leaves_it(scans, model, tmp_path, caplog):
    options = [part for key, value in FAST.items() for part in (f"--{key}", value)]
    files = [str(scans / "blanked.nii.gz"), str(tmp_path / "out.nii")]
    assert main(["denoise", *files, *options, "--model", str(model)]) == 0
    (kept,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["warnings"]
    assert kept.startswith("9 % of the input hold one value (0 HU)")
    (warning,) = [line for line in caplog.messages if "9 % of blanked.nii.gz hold one value (0 HU)" in line]
    assert warning.startswith("Warning: ")
    result = sitk.GetArrayFromImage(sitk.ReadImage(files[1]))
    assert (result[:, :14, :14] == 0).all()


def test_a_worker_and_a_batch_do_so_too(scans, model, tmp_path, capfd):
    client = Client()
    try:
        for name, sentence in SENTENCES.items():
            files = {"input": name, "output": str(tmp_path / "out.nii")}
            client.send({"request": "run", "id": name, "task": "denoise", "folder": str(scans), "files": files})
            event, _ = client.until("error", "result")
            assert event["event"] == "error" and event["kind"] == "input" and sentence in event["message"]
    finally:
        client.kill()
    options = [part for key, value in FAST.items() for part in (f"--{key}", value)]
    assert main(["batch", "denoise", str(scans), str(tmp_path / "out"), *options, "--model", str(model)]) == 1
    with open(tmp_path / "out" / "status.csv", newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for name, sentence in SENTENCES.items():
        row = rows[name.split(".")[0]]
        assert row["status"] == "failed" and sentence in row["reason"]
    assert rows["blanked"]["status"] == "done" and "hold one value (0 HU)" in rows["blanked"]["summary"]


@pytest.mark.parametrize("case", ["lost", "between"])
def test_a_mask_without_its_place_is_refused(ct, model, case, tmp_path, capfd):
    write_volume(
        ct if case == "lost" else replace(ct, voxels=ct.voxels[::6], spacing=(1.5, 1.5, 9.0)), tmp_path / "ct.nii"
    )
    lesion = np.zeros(ct.voxels.shape, np.uint8)
    lesion[8:10, 20:24, 20:24] = 1
    if case == "lost":
        nibabel.save(nibabel.Nifti1Image(lesion.T, np.eye(4)), tmp_path / "mask.nii")
    else:
        write_volume(ct.with_voxels(lesion), tmp_path / "mask.nii")
    before = sorted(tmp_path.iterdir())
    files = [str(tmp_path / name) for name in ("ct.nii", "mask.nii", "out.nii")]
    assert main(["inpaint-lesion", *files, "--model", str(model)]) == 2
    printed = capfd.readouterr().err
    assert ("its header was lost" if case == "lost" else "No slice of") in printed and printed.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
