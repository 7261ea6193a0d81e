"""Where nothing can be written: long names, full and read-only disks, folders that take no files. Said before the work,
with the name of the output that was given; and a name that is just short enough is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from toy_task import SEEN, ToyParameters, register

from MedDiffFMLib import atomic
from MedDiffFMLib.atomic import hidden_name, whole_file
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import DiskFullError, InputError, kind_of
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.models.folder import set_in_config
from MedDiffFMLib.parameters import CommonParameters
from MedDiffFMLib.volumes.io import read_volume, write_volume

LONGEST = 255  # bytes of a name, on the file systems that tests run on


@pytest.fixture
def task(monkeypatch, tiny_model, data, tmp_path):
    """The toy task on a real CT of 32³ voxels, 64 KiB: outputs by name."""
    register(monkeypatch)
    ct = read_volume(data / "chest_ts_aorta.nii.gz")
    part = type(ct)(ct.voxels[40:72, 20:52, 20:52], ct.spacing, ct.origin, ct.direction)
    write_volume(part, tmp_path / "ct.nrrd")
    write_volume(part.with_voxels((part.voxels > 100).astype("uint8")), tmp_path / "mask.nrrd")

    def run(samples=1, **outputs):
        files = {"input": tmp_path / "ct.nrrd", "lesion_mask": tmp_path / "mask.nrrd", **outputs}
        values = ToyParameters.from_dict({"samples": samples})
        return run_job("toy", files, values, CommonParameters(), load=lambda *a, **k: tiny_model)

    return run


def named(folder: Path, ending: str, length: int = LONGEST) -> Path:
    """A name of so many bytes; its letters have two."""
    letters, rest = divmod(length - len(ending), 2)
    return folder / ("a" * rest + "ä" * letters + ending)


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of 256 KiB: a function that gives it, after it was filled or made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", folder], capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")

    def prepare(filled: int = 0, read_only: bool = False) -> Path:
        (folder / "filling").write_bytes(b"\0" * filled)
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        return folder

    yield prepare
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", ""])
def test_the_longest_possible_name_is_written(task, tmp_path, ending):
    """OUTPUT and OUTPUT.json, which may be the longer one."""
    length = LONGEST - max(0, len(".json") - len(ending))
    made = task(output=named(tmp_path, ending, length)).written["output"][0]
    assert len(os.fsencode(made.name)) == length and made.exists()
    names = {"ct.nrrd", "mask.nrrd", made.name, made.name.removesuffix(ending) + ".json"}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize(
    ("name", "ending", "length", "samples"),
    [
        ("output", ".nii.gz", 256, 1),
        ("output", ".nii.gz", 254, 2),  # OUTPUT-1
        ("output", ".mha", 255, 1),  # OUTPUT.json
        ("output", "", 251, 1),
        ("map", ".nrrd", 300, 1),
        ("mask", ".nii", 4000, 1),
        ("findings", ".csv", 256, 1),
    ],
)
def test_a_name_that_is_too_long_is_refused_before_the_work(task, tmp_path, name, ending, length, samples):
    path = named(tmp_path, ending, length)
    with pytest.raises(InputError, match=r"its name has \d+ bytes, 255 are possible") as refusal:
        task(samples, **({"output": tmp_path / "out.nrrd"} | {name: path}))
    assert path.name[:50] in str(refusal.value) and not SEEN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ct.nrrd", "mask.nrrd"]


@pytest.mark.parametrize("name", ["output.nii.gz", "output", "findings.csv"])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"filled": 1 << 18}, r"takes \d+ kB and its disk has 0 kB left"),
        ({"read_only": True}, "read-only"),
    ],
)
def test_full_and_read_only_disks_are_told_before_the_work(task, tmp_path, small_disk, name, how, words):
    path = small_disk(**how) / name
    outputs = {path.name.partition(".")[0]: path}
    if "filled" in how and name == "findings.csv":
        outputs["mask"] = path.with_name("mask.nii")
    with pytest.raises(InputError, match=words) as refusal:
        task(**{"output": tmp_path / "out.nrrd"} | outputs)
    assert kind_of(refusal.value) == ("disk-full" if "filled" in how else "input")
    assert str(path.parent) in str(refusal.value) and not SEEN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ct.nrrd", "disk", "mask.nrrd"]


def test_a_disk_that_fills_up_while_it_is_written_is_told_by_the_outputs_name(task, small_disk):
    """Room for a volume (64 KiB), not for its compressed copy too."""
    folder = small_disk(filled=(256 - 72) << 10)
    with pytest.raises(DiskFullError) as refusal:
        task(output=folder / "out.nii.gz")
    assert f"{folder / 'out.nii.gz'} could not be written" in str(refusal.value) and SEEN
    assert [path.name for path in folder.iterdir()] == ["filling"]


def test_a_folder_that_takes_no_files_is_told_before_the_work(task):
    with pytest.raises(InputError, match=r"/proc/out.nii.gz cannot be written, its folder takes no file"):
        task(output=Path("/proc/out.nii.gz"))
    assert not SEEN


@pytest.mark.parametrize("place", [named(Path(), ".json", 256).name, "/proc/run.json", "nowhere/run.json"])
def test_a_record_that_cannot_be_written_is_told_before_the_work(tmp_path, monkeypatch, capsys, place):
    monkeypatch.chdir(tmp_path)
    assert main(["denoise", "missing.nii.gz", "out.nii.gz", "--json", place]) == 2
    said = capsys.readouterr().err
    assert Path(place).name[:50] in said and said.count("\n") == 1 and "missing.nii.gz" not in said


def test_a_batch_tells_which_output_has_too_long_a_name(data, tmp_path, capsys):
    """A DICOM folder or .mhd of the longest name has no room for the suffix of its result."""
    source, name = tmp_path / "scans", "a" * (LONGEST - 4)
    source.mkdir()
    (source / f"{name}.nii").write_bytes(b"\0")
    assert main(["batch", "denoise", str(source), str(tmp_path / "out")]) == 1
    assert "its name has 256 bytes, 255 are possible" in capsys.readouterr().err


def test_hidden_names_are_short_and_keep_the_suffix(tmp_path):
    for name, suffix in (("scan.v1.NII.GZ", ".NII.GZ"), ("scan.nrrd", ".nrrd"), ("folder", "")):
        hidden = hidden_name(tmp_path / name)
        assert hidden.parent == tmp_path and len(hidden.name) < 50 and hidden.name.endswith(".part" + suffix)


def test_a_file_stands_whole_or_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), whole_file(path) as part:
        part.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "before"
    with whole_file(path) as part:
        part.write_text("after")
    assert path.read_text() == "after" and [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_run_removes_what_was_left_a_day_ago_and_nothing_younger(task, tmp_path):
    """Another run may be writing beside this one."""
    old, young, own = (tmp_path / f".{uuid.uuid4().hex}.part.nii" for _ in range(3))
    own = tmp_path / ".mine.part"
    for path in (old, young, own):
        path.write_text("x")
    for path in (old, own):
        os.utime(path, (time.time() - atomic.DAY - 60,) * 2)
    task(output=tmp_path / "out.nrrd")
    assert not old.exists() and young.exists() and own.exists()


def test_all_writers_use_the_one_hidden_form():
    """What a killed run leaves is found by one pattern, whatever was written."""
    library = Path(atomic.__file__).parent
    for file in library.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert file.name == "atomic.py" or not any(word in text for word in ("uuid4", '}.part"', ".removed")), file


def test_a_config_that_cannot_be_replaced_is_named(tmp_path, small_disk):
    from tiny_model import save_tiny_model

    folder = save_tiny_model(tmp_path / "model")
    before = (folder / "config.json").read_text(encoding="utf-8")
    disk = small_disk(filled=200 << 10)
    (disk / "config.json").write_text(before, encoding="utf-8")
    (disk / "model.safetensors").touch()
    with pytest.raises(DiskFullError, match=r"config.json could not be written"):
        set_in_config(disk, "self_test", "x" * 300_000)
    assert json.loads((disk / "config.json").read_text(encoding="utf-8")) == json.loads(before)
