"""The end of a process is the end of everything that it started: by the helper, by a worker's client, by a cancelled
segmentation (Testing/tasks/test_segmenter.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import AT_ONCE

from MedDiffFMLib.processes import end_process_group, own_group
from MedDiffFMLib.worker import client

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its stand-ins are signals")

# starts a child, writes its pid, and goes on; deaf: both hear neither SIGTERM nor a closed stdin
PARENT = """
import signal, subprocess, sys, time
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1] + ".part", "w").write(str(child.pid))
import os; os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep({seconds})
"""


def parent(folder: Path, deaf=False, seconds=600) -> tuple[str, ...]:
    return (sys.executable, "-c", PARENT.format(deaf=deaf, seconds=seconds), str(folder / "child"))


def child_of(folder: Path) -> int:
    wait_until((folder / "child").exists)
    return int((folder / "child").read_text())


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked for its code has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition):
    end = time.monotonic() + AT_ONCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_group_ends_within_its_patience(tmp_path, deaf):
    process = subprocess.Popen(parent(tmp_path, deaf), **own_group())
    child = child_of(tmp_path)
    end_process_group(process, patience=0.5)  # before the 600 s of the process are over
    assert process.returncode == -(signal.SIGKILL if deaf else signal.SIGTERM)
    wait_until(lambda: is_gone(child))


def test_a_child_that_outlives_its_parent_ends_too(tmp_path):
    process = subprocess.Popen(parent(tmp_path, seconds=0), **own_group())
    child = child_of(tmp_path)
    wait_until(lambda: process.poll() is not None)
    assert not is_gone(child)
    end_process_group(process)
    wait_until(lambda: is_gone(child))


def test_a_group_that_is_gone_is_none_of_our_business(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""], **own_group())
    process.wait()
    end_process_group(process)
    assert process.returncode == 0


def test_a_process_that_got_the_number_of_an_ended_one_is_left_alone(tmp_path):
    """The numbers go round: a long-lived Slicer would end what another program has just started."""
    other = subprocess.Popen(parent(tmp_path), **own_group())
    child = child_of(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""], **own_group())
    ended.wait()
    ended.pid = other.pid
    end_process_group(ended)
    time.sleep(0.3)  # what was killed would be gone by then
    assert other.poll() is None and not is_gone(child)
    end_process_group(other)
    wait_until(lambda: is_gone(child))


@pytest.mark.parametrize("how", ["closed", "not understood"])
def test_a_workers_client_leaves_no_child_of_it(tmp_path, monkeypatch, how):
    """One that does not end by itself, and one that says what is no event and goes on."""
    monkeypatch.setattr(client, "STOP_SECONDS", 0.3)
    command = parent(tmp_path, deaf=True)
    if how == "not understood":
        text = command[2].replace("time.sleep(600)\n", "print('hello', flush=True)\ntime.sleep(600)\n")
        command = (*command[:2], text, command[3])
    worker = client.WorkerProcess(command=command)
    if how == "closed":
        worker._started()
        child = child_of(tmp_path)
        worker.close()
    else:
        assert worker.run({"request": "run"})["kind"] == "crash"
        child = child_of(tmp_path)
    wait_until(lambda: is_gone(child))
