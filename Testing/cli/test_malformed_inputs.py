"""Twenty and more wrong inputs for every task: exit code 2, one sentence that says what and what to do, and no file.

Made from each task's file slots and parameters, so a new task is tried the day it is registered.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.parameters import TASKS

DATA = Path(__file__).parents[1] / "Data"


def _write(path: Path, voxels: np.ndarray, spacing=(1.5, 1.5, 1.5), vector: bool = False) -> Path:
    image = sitk.GetImageFromArray(voxels, isVector=vector)
    if not vector and voxels.ndim == 3:
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def _lesion(shape) -> np.ndarray:
    """A lesion in the middle, so that nothing is wrong with the mask."""
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(n // 2 - 3, n // 2 + 3) for n in shape)] = 1
    return mask


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Good and bad files by name, made of a real chest CT."""
    folder = tmp_path_factory.mktemp("files")
    ct = sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "chest_ts_aorta.nii.gz")))[40:64, 30:70, 20:68]
    made = {
        "ct": _write(folder / "ct.nii.gz", ct),
        "labels": _write(folder / "labels.nii.gz", np.where(ct > -400, 118, 0).astype(np.uint8)),
        "mask": _write(folder / "mask.nii.gz", _lesion(ct.shape)),
        "slice": _write(folder / "slice.nii.gz", ct[:1]),
        "color": _write(folder / "color.nii.gz", np.stack([ct, ct, ct], axis=-1), vector=True),
        "constant": _write(folder / "constant.nii.gz", np.full_like(ct, 40)),
        "eight-bit": _write(folder / "eight-bit.nii.gz", np.clip((ct + 200) / 2, 0, 255).astype(np.uint8)),
        "mr": _write(folder / "mr.nii.gz", (np.abs(ct) % 700).astype(np.int16)),
        "offset": _write(folder / "offset.nii.gz", np.clip(ct.astype(int) + 1024, 0, None).astype(np.int16)),
        "normalized": _write(folder / "normalized.nii.gz", ((ct + 1000) / 2000).astype(np.float32)),
        "micro": _write(folder / "micro.nii.gz", ct, spacing=(0.001, 0.001, 0.001)),
        "too-many-labels": _write(folder / "too-many-labels.nii.gz", np.full(ct.shape, 200, np.uint8)),
        "empty-labels": _write(folder / "empty-labels.nii.gz", np.zeros(ct.shape, np.uint8)),
        "negative": _write(folder / "negative.nii.gz", np.where(ct > 0, -3, 0).astype(np.int16)),
        "fractions": _write(folder / "fractions.nii.gz", np.where(ct > 0, 0.5, 0).astype(np.float32)),
    }
    broken = ct.astype(np.float32)
    broken[3, 4, 5] = np.nan
    made["nan"] = _write(folder / "nan.nii.gz", broken)
    far = sitk.ReadImage(str(made["labels"]))
    far.SetOrigin((5000.0, 0.0, 0.0))
    sitk.WriteImage(far, str(folder / "far.nii.gz"))
    frames = sitk.JoinSeries([sitk.ReadImage(str(made["ct"]))] * 3)
    sitk.WriteImage(frames, str(folder / "frames.nii.gz"))
    whole = made["ct"].read_bytes()
    for name, content in {"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"not an image"}.items():
        (folder / f"{name}.nii.gz").write_bytes(content)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "no-dicom").mkdir()
    (folder / "no-dicom" / "readme.txt").write_text("nothing")
    (folder / "damaged.json").write_text("{")
    names = (
        "far.nii.gz",
        "frames.nii.gz",
        "truncated.nii.gz",
        "empty.nii.gz",
        "text.nii.gz",
        "picture.png",
        "no-dicom",
    )
    made |= {name.split(".")[0]: folder / name for name in names}
    made |= {"missing": folder / "missing.nii.gz", "damaged": folder / "damaged.json"}
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_tiny_controls(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model"))


IMAGES = ("missing", "truncated", "empty", "text", "picture", "no-dicom", "slice", "frames", "color")
WRONG_FILES = {
    "ct": (*IMAGES, "nan", "constant", "eight-bit", "mr", "offset", "normalized", "micro", "labels"),
    "labels": (*IMAGES, "ct", "too-many-labels", "empty-labels", "negative", "fractions"),
    "mask": (*IMAGES, "ct", "empty-labels", "negative", "fractions", "far"),
}
WRONG_OPTIONS = {
    "unknown option": ("--no-such-option", "1"),
    "model": ("--model", "no-such-model"),
    "device": ("--device", "tpu"),
    "gpu": ("--device", "cuda:97"),
    "precision": ("--precision", "float64"),
    "seed": ("--seed", "-1"),
    "text for a number": ("--seed", "many"),
    "steps": ("--steps", "0"),
    "json": ("--json", "{damaged}"),
}
WRONG_OUTPUTS = ("no folder", "wrong name", "exists", "is a folder")


def _cases():
    for task, parameters in TASKS.items():
        for slot in parameters.files:
            if not slot.output:
                yield from ((task, slot.name, wrong) for wrong in WRONG_FILES[slot.kind])
        names = {field.name for field in dataclasses.fields(parameters)}
        yield from ((task, "option", o) for o in WRONG_OPTIONS if o not in ("seed", "steps") or o in names)
        yield from ((task, "result", wrong) for wrong in WRONG_OUTPUTS)
        if "anatomy" in names:
            yield from (
                (task, "anatomy", wrong) for wrong in ("missing", "far", "too-many-labels", "fractions", "text")
            )
        if "region" in names:
            yield task, "region", "leg"


def test_there_are_twenty_for_every_task():
    for task in TASKS:
        assert sum(case[0] == task for case in _cases()) >= 20


@pytest.mark.parametrize(("task", "where", "wrong"), list(_cases()))
def test_a_wrong_input_is_refused_in_one_sentence(task, where, wrong, files, model, tmp_path, capfd):
    out = tmp_path / "out"
    out.mkdir()
    arguments, options = [], ["--model", model]
    for slot in TASKS[task].files:
        if slot.optional:
            continue
        right = out / "result.nii.gz" if slot.output else files[slot.kind]
        arguments.append(files[wrong] if slot.name == where else right)
    if where == "option":
        options = [option.format(damaged=files["damaged"]) for option in WRONG_OPTIONS[wrong]]
    elif where in ("anatomy", "region"):
        options += [f"--{where}", files.get(wrong, wrong)]
    elif where == "result":
        (out / "there.nii.gz").write_bytes(b"mine")
        (out / "folder.nii.gz").mkdir()
        names = {"no folder": "no/result.nii.gz", "wrong name": "result.jpg"}
        names |= {"exists": "there.nii.gz", "is a folder": "folder.nii.gz"}
        arguments[-1] = out / names[wrong]
    before = sorted(out.rglob("*"))

    code = main([str(argument) for argument in (task, *arguments, *options)])

    printed = capfd.readouterr().err.strip().splitlines()
    assert code == 2, printed
    assert len(printed) == 1 and printed[0].startswith("meddiff-fm: ") and printed[0].endswith((".", ")")), printed
    assert len(printed[0]) < 500 and "Traceback" not in printed[0]
    assert sorted(out.rglob("*")) == before
    assert not (out / "there.nii.gz").exists() or (out / "there.nii.gz").read_bytes() == b"mine"
