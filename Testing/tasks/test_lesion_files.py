"""Lesions from files to files: masks on another grid, several samples, provenance, and no trace of a refusal."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume

QUICK = {
    "inpaint-lesion": {"spacing_mm": None, "steps": 3, "resample": 2},
    "synthesize": {"fast": {"steps": 3}},
}


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """A model with ControlNets and quick settings; a CT and its organs, 3 mm; a lesion mask of 2 mm over a part of it.

    The organs are those around the liver, which is 5.
    """
    folder = tmp_path_factory.mktemp("lesions")
    model = save_tiny_controls(save_tiny_model(folder / "tiny", patch=16))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"tasks": QUICK}))
    part = (slice(30, 78), slice(20, 70), slice(80, 104))  # x, y, z
    for name in ("abd_ts_example", "abd_ts_example_seg"):
        image = read_volume(data / f"{name}.nii.gz").to_sitk()
        write_volume(Volume.from_sitk(image[part]), folder / f"{name.removeprefix('abd_ts_example') or 'ct'}.nii.gz")
    ct = read_volume(folder / "ct.nii.gz")
    liver = read_volume(folder / "_seg.nii.gz").voxels == 5
    center = np.argwhere(liver).mean(axis=0)[::-1]
    fine = sitk.Image(24, 24, 24, sitk.sitkUInt8)
    fine.SetSpacing((2.0, 2.0, 2.0))
    middle = ct.to_sitk().TransformContinuousIndexToPhysicalPoint(center.tolist())
    fine.SetOrigin([m - 23 for m in middle])
    z, y, x = np.ogrid[-11.5:12, -11.5:12, -11.5:12]
    ball = Volume.from_sitk(fine).with_voxels(((z**2 + y**2 + x**2) < 36).astype(np.uint8))
    write_volume(ball, folder / "mask.nii.gz")
    write_volume(replace(ball, origin=(900.0, 0.0, 0.0)), folder / "far.nii.gz")
    return folder


def run(folder, task, *arguments):
    return main([task, *map(str, arguments), "--model", str(folder / "tiny"), "--precision", "float32", "-q"])


def test_inpainting_with_a_mask_of_another_grid(folder, tmp_path):
    out = tmp_path / "out.nii.gz"
    assert run(folder, "inpaint-lesion", folder / "ct.nii.gz", folder / "mask.nii.gz", out, "--samples", 2) == 0
    ct = read_volume(folder / "ct.nii.gz")
    made = [read_volume(tmp_path / f"out-{n}.nii.gz") for n in (1, 2)]
    changed = made[0].voxels != ct.voxels
    assert made[0].same_grid(ct) and made[0].voxels.dtype == np.int16
    assert 200 < changed.sum() <= 300  # a ball of 12 mm radius, 7.2 ml, has 268 voxels of 27 µl; some keep their HU
    assert not np.array_equal(made[0].voxels, made[1].voxels)
    record = json.loads((tmp_path / "out-2.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is True and record["sample"] == 2
    facts = record["facts"]
    assert facts["lesion_mask"] == "given, resampled" and facts["kind"] == "lung" and facts["seeds"] == [0, 1]
    assert facts["network_evaluations"] == 2 * 5 * facts["windows"]
    assert "tiny" not in json.dumps(facts) and str(folder) not in json.dumps(record)


def test_generation_from_a_label_map(folder, tmp_path):
    out = tmp_path / "out.mha"
    options = ("--quality", "fast", "--region", "abdomen", "--seed", 3)
    assert run(folder, "generate-lesion", folder / "_seg.nii.gz", folder / "mask.nii.gz", out, *options) == 0
    assert run(folder, "synthesize", folder / "_seg.nii.gz", tmp_path / "healthy.mha", *options) == 0
    changed = read_volume(out).voxels != read_volume(tmp_path / "healthy.mha").voxels
    assert 150 < changed.sum() <= 300
    record = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is True and record["facts"]["lesion"]["lesion_mask"] == "given, resampled"


@pytest.mark.parametrize(
    ("mask", "options", "words"),
    [
        ("far", (), "outside of"),
        ("mask", ("--kind", "liver"), "one of lung"),
        ("mask", ("--kind", "../tiny"), "--kind cannot be"),
        ("mask", ("--resample", "0"), "--resample"),
        ("_seg", (), "border"),
    ],
)
def test_refusals_leave_nothing_behind(folder, tmp_path, capfd, mask, options, words):
    out = tmp_path / "out.nii.gz"
    for task, first in (("inpaint-lesion", "ct"), ("generate-lesion", "_seg")):
        assert run(folder, task, folder / f"{first}.nii.gz", folder / f"{mask}.nii.gz", out, *options) == 2
        printed = capfd.readouterr().err.strip().splitlines()
        assert len(printed) == 1 and words in printed[0]
    assert not list(tmp_path.iterdir())


def place(folder, out, *options):
    return main(["place-lesion", str(folder / "_seg.nii.gz"), str(out), *map(str, options)])


def test_a_mask_placed_from_the_shell_serves_both_tasks(folder, tmp_path, capfd):
    mask = tmp_path / "mask.nii.gz"
    assert place(folder, mask, "--organ", "liver", "--diameter", 24, "--seed", 2) == 0
    printed = capfd.readouterr().out
    assert printed.startswith("A lesion of 24 mm and ") and "in liver" in printed
    organs, lesion = (read_volume(path).voxels for path in (folder / "_seg.nii.gz", mask))
    assert set(organs[lesion > 0]) == {5} and lesion.sum() * 0.027 < 4 / 3 * np.pi * 1.2**3
    assert place(folder, tmp_path / "same.nii.gz", "--organ", "5", "--diameter", 24, "--seed", 2) == 0
    assert np.array_equal(read_volume(tmp_path / "same.nii.gz").voxels, lesion)
    assert run(folder, "inpaint-lesion", folder / "ct.nii.gz", mask, tmp_path / "ct.nii.gz") == 0


def test_a_mask_is_placed_by_the_names_in_the_label_map(folder, tmp_path, capfd):
    """Of a map with numbers of its own, the names beside it count: there 1 is the liver, and 5 the spleen."""
    labels = read_volume(folder / "_seg.nii.gz")
    swapped = np.select([labels.voxels == 5, labels.voxels == 1], [1, 5], 0).astype(np.uint8)
    write_volume(labels.with_voxels(swapped), tmp_path / "own.nii.gz")
    (tmp_path / "own.json").write_text('{"1": "liver", "5": "spleen"}')
    options = ["--organ", "liver", "--diameter", "24", "--seed", "2"]
    assert main(["place-lesion", str(tmp_path / "own.nii.gz"), str(tmp_path / "mask.nii.gz"), *options]) == 0
    assert set(labels.voxels[read_volume(tmp_path / "mask.nii.gz").voxels > 0]) == {5}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--organ", "liver", "--diameter", 140), "does not fit"),
        (("--organ", "brain", "--diameter", 10), "nothing of the organ"),
        (("--organ", "livre", "--diameter", 10), "did you mean liver"),
        (("--organ", "liver", "--diameter", 0), "--diameter"),
    ],
)
def test_a_mask_that_cannot_be_placed_is_said_in_a_sentence(folder, tmp_path, capfd, options, words):
    assert place(folder, tmp_path / "mask.nii.gz", *options) == 2
    assert words in capfd.readouterr().err and not list(tmp_path.iterdir())
