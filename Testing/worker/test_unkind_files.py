"""Files that others hold, and waits that no signal ends, as on Windows; imitated where this system is kinder."""

from __future__ import annotations

import csv
import ctypes
import errno
import locale
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from patience import AT_ONCE
from tiny_model import save_tiny_model

from MedDiffFMLib import atomic
from MedDiffFMLib.crash_message import crash_message
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models import hardware as system
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMLib.worker.client import WorkerProcess
from MedDiffFMLib.worker.files import JobFiles

ROOT = Path(__file__).parents[2]
HERE = Volume(np.full((4, 5, 6), 7, np.int16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1), "")


@pytest.fixture
def held(monkeypatch):
    """`held(seconds)`: from now on nothing can be replaced for so long, as while a virus scanner looks at it."""
    real = os.replace

    def hold(seconds):
        until = time.monotonic() + seconds

        def replace(old, new):
            if time.monotonic() < until:
                raise PermissionError(errno.EACCES, "Access is denied", str(new))
            real(old, new)

        monkeypatch.setattr(os, "replace", replace)

    return hold


def test_a_result_waits_for_a_file_that_is_looked_at(tmp_path, held):
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"old")
    held(0.4)
    write_volume(HERE, path, overwrite=True)
    assert (read_volume(path).voxels == 7).all() and [p.name for p in tmp_path.iterdir()] == ["a.nrrd"]


def test_not_for_ever(tmp_path, held, monkeypatch):
    monkeypatch.setattr(atomic, "IN_USE_SECONDS", 0.2)
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"old")
    held(60)
    with pytest.raises(InputError, match=r"could not be written \(Access is denied\)"):
        write_volume(HERE, path, overwrite=True)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a.nrrd"]


def test_a_preview_that_is_being_read_is_left_out(tmp_path, held, monkeypatch):
    """The run goes on, and the next one is shown again."""
    monkeypatch.setattr(atomic, "IN_USE_SECONDS", 0.1)
    request = {"task": "denoise", "files": {"input": "i.nrrd", "output": "o.nrrd"}, "folder": str(tmp_path)}
    with JobFiles(request) as files:
        assert files.preview(HERE) == {"path": str(tmp_path / "preview.nrrd")}
        held(0.5)
        assert files.preview(HERE) is None
        time.sleep(0.5)
        assert files.preview(HERE) == {"path": str(tmp_path / "preview.nrrd")}
    assert not (tmp_path / "preview.nrrd").exists()


def test_a_batch_is_cancelled_where_a_wait_hears_no_signal(tmp_path, data, monkeypatch):
    """Without pthread_kill a main thread that waits is only interrupted once it wakes: a panel would kill it before,
    with the hidden parts of files.
    """
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path / "home"))
    save_tiny_model(tmp_path / "home" / "models" / "tiny")
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.nii.gz").symlink_to(data / "chest_ts_aorta.nii.gz")
    code = (
        "import functools, signal, sys; del signal.pthread_kill; from MedDiffFMLib.batch import local as batch_here;"
        "silent = (sys.executable, '-c', 'import time; time.sleep(600)');"
        "batch_here.WorkerProcess = functools.partial(batch_here.WorkerProcess, command=silent);"
        "from MedDiffFMLib.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["batch", "denoise", source, target, "--model", "tiny", "--events"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdin=subprocess.PIPE, cwd=ROOT)
    while not (target / "status.csv").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # now it waits for the worker, which says nothing
    process.stdin.close()
    assert process.wait(AT_ONCE) == 3
    with open(target / "status.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["waiting"]
    assert sorted(path.name for path in target.iterdir()) == ["status.csv"]


@pytest.mark.parametrize("refused", [False, True])
def test_names_in_other_letters_on_windows(monkeypatch, refused):
    """C libraries open them once the locale is UTF-8; an old Windows that has none is no reason to stop."""
    from MedDiffFMLib.cli import app

    asked = []

    def setlocale(kind, name):
        asked.append((kind, name))
        if refused:
            raise locale.Error("unsupported locale setting")

    words = {"LC_CTYPE": locale.LC_CTYPE, "Error": locale.Error, "setlocale": setlocale}
    monkeypatch.setattr(app, "locale", types.SimpleNamespace(**words))
    app._open_any_name()
    assert asked == []
    monkeypatch.setattr(app, "os", types.SimpleNamespace(name="nt"))
    app._open_any_name()
    assert asked == [(locale.LC_CTYPE, ".UTF8")]


def test_memory_on_windows(monkeypatch):
    """The structure as sysinfoapi.h lays it out: length at 0, the load in percent at 4, all memory at 8, free at 16."""

    class Kernel:
        @staticmethod
        def GlobalMemoryStatusEx(pointer):
            raw = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_char * 64)).contents
            assert int.from_bytes(raw[0:4], sys.byteorder) == 64
            raw[4:8] = (42).to_bytes(4, sys.byteorder)
            raw[8:16] = (17_179_869_184).to_bytes(8, sys.byteorder)
            raw[16:24] = (1_000).to_bytes(8, sys.byteorder)
            return 1

    monkeypatch.setattr(ctypes, "windll", type("Libraries", (), {"kernel32": Kernel})(), raising=False)
    monkeypatch.delattr(os, "sysconf")
    assert system.memory_gb() == 17.2


def test_memory_where_nobody_tells_it(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert system.memory_gb() is None


def test_the_crash_message_of_a_fault():
    """Python tells it before the stack; the launcher adds a line that says nothing."""
    said = (
        'loading\nFatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  File "a"\n'
        "\nExtension modules: numpy.linalg (total: 1)\nerror: [python-real] exit abnormally - Report the problem.\n"
    )
    assert crash_message(said) == "Fatal Python error: Segmentation fault"
    assert crash_message("a\nb\n\nerror: [x] exit abnormally - Report the problem.\n") == "b"
    assert crash_message("\n") == ""


def test_a_worker_that_crashes_in_native_code_says_so():
    code = "from MedDiffFMLib.models.hardware import report_faults; report_faults(); import ctypes; ctypes.string_at(0)"
    end = WorkerProcess(command=(sys.executable, "-c", code)).run({"request": "run"})
    assert end["kind"] == "crash" and "signal 11: Fatal Python error: Segmentation fault" in end["message"]
