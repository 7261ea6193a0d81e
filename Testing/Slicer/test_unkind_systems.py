"""What Windows, macOS and Slicer's launcher do to processes, files and paths, imitated where this system is kinder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import harness
import numpy as np
import pytest
from harness import wait_until
from panels import add_chest, folders_left
from patience import PATIENCE
from test_job import start

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_worker_stays(slicer):
    from MedDiffFMPanels.runner.job import sharedWorker

    yield
    sharedWorker().end()
    assert folders_left() == []


def program(folder, text, *before):
    """A place whose worker is a small program, behind another one if there is one before."""
    from MedDiffFMPanels.runner.backend import Backend

    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    return Backend("command", "", shlex.join([sys.executable, "-u", *map(str, before), str(path)]))


ONE_LINE = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    name = {"look": "looked"}.get(request["request"], request["request"])
    print(json.dumps({"event": name, "id": request["id"]}), flush=True)
"""


def test_one_answer_after_another_from_a_file_without_append_mode(slicer, tmp_path):
    """A handle that a process inherits on Windows writes where it was, whatever became of the file meanwhile."""
    backend = program(tmp_path, ONE_LINE)
    for name in ("look", "hello", "look"):
        _, ends = start(backend, request={"request": name})
        wait_until(lambda ends=ends: ends)
        assert ends[0][1] is None and ends[0][0]["event"] == {"look": "looked"}.get(name, name)


def test_a_worker_that_does_not_answer(slicer, tmp_path):
    from MedDiffFMPanels.runner.job import Job, sharedWorker

    def prepare(folder, at):
        return {"request": "hello"}
        yield

    ends = []
    backend = program(tmp_path, "import time; time.sleep(600)")
    Job(prepare, None, None, lambda *end: ends.append(end), backend, patience=0.5).start()
    wait_until(lambda: ends)
    assert "did not answer within" in ends[0][1].message and sharedWorker().pid is None


# Slicer's launcher (CTKAppLauncher) hands on exit codes, but makes code 1 of every signal
LAUNCHER = """
import subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[1:]])
if code < 0:
    print(f"error: [{sys.executable}] exit abnormally - Report the problem.", file=sys.stderr)
sys.exit(1 if code < 0 else code)
"""
TELLING = f"""
import os, signal, sys
sys.path.append({str(ROOT)!r})
from MedDiffFMLib.models.hardware import report_faults
report_faults()
"""


@pytest.mark.parametrize("launched", [False, True])
@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "out-of-memory", "the memory ran out"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crash", "Segmentation fault"),
        ("print('what():  std::bad_alloc', file=sys.stderr, flush=True); os.abort()", "out-of-memory", "memory"),
        ("os.abort()", "crash", "Aborted"),
        ("sys.exit('a sentence')", "crash", "code 1: a sentence"),
        ("raise ModuleNotFoundError(\"No module named 'MedDiffFMLib'\")", "packages", "No module named"),
    ],
)
def test_why_a_worker_died_is_told_through_slicers_launcher(slicer, tmp_path, launched, end, kind, words):
    launcher = tmp_path / "launcher.py"
    launcher.write_text(LAUNCHER)
    text = TELLING + end
    _, ends = start(program(tmp_path, text, *([launcher] if launched else [])))
    wait_until(lambda: ends)
    failure = ends[0][1]
    assert failure.kind == kind and words in failure.message, failure


def test_a_command_with_a_path_in_quotes_on_windows(slicer, monkeypatch):
    """There a program takes its line apart itself; Popen would put the quotes of a list's word in quotes again."""
    from MedDiffFMPanels.runner import backend

    line = r'"C:\Program Files\Python\Scripts\meddiff-fm.exe" worker'
    monkeypatch.setattr(backend, "os", types.SimpleNamespace(**(vars(os) | {"name": "nt"})))
    given = backend.Backend("command", "", f" {line} ").arguments()
    assert (given if isinstance(given, str) else subprocess.list2cmdline(given)) == line


def test_another_python_as_people_write_it(slicer, monkeypatch):
    """In quotes, as Windows copies a path, or from the home folder on."""
    from MedDiffFMPanels.runner.backend import Backend

    assert Backend("python", f'"{sys.executable}"').arguments()[0] == sys.executable
    monkeypatch.setenv("HOME", str(Path(sys.executable).parent))
    assert Backend("python", f"~/{Path(sys.executable).name}").arguments()[0] == sys.executable


def test_pipes_take_a_whole_turn(slicer, monkeypatch):
    """4096 bytes on Windows otherwise: 80 kB a second. There by the function that subprocess itself uses."""
    import fcntl

    from MedDiffFMPanels.runner import process

    asked = []
    windows = types.SimpleNamespace(CreatePipe=lambda security, size: asked.append(size) or os.pipe())
    monkeypatch.setitem(sys.modules, "_winapi", windows)
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(open_osfhandle=lambda handle, flags: handle))
    ends = process._pipe()
    assert fcntl.fcntl(ends[1], fcntl.F_GETPIPE_SZ) >= 1 << 20
    monkeypatch.setattr(process, "os", types.SimpleNamespace(**(vars(os) | {"name": "nt"})))
    others = process._pipe()
    assert asked == [1 << 20]
    os.write(others[1], b"x")
    assert os.read(others[0], 9) == b"x"
    for end in (*ends, *others):
        os.close(end)


def test_a_process_on_windows_is_asked_before_it_is_killed(slicer, monkeypatch):
    """There is no killpg and no signal there: a closed stdin asks, and taskkill takes the launcher's child too."""
    from MedDiffFMLib import processes

    names = {name: value for name, value in vars(os).items() if name not in ("killpg", "set_blocking")}
    monkeypatch.setattr(processes, "os", types.SimpleNamespace(**(names | {"name": "nt"})))
    killed = []
    own = {name: getattr(subprocess, name) for name in ("Popen", "PIPE", "TimeoutExpired")} | {"CREATE_NO_WINDOW": 0}

    def taskkill(command, **others):
        killed.append(command)
        deaf.kill()

    monkeypatch.setattr(processes, "subprocess", types.SimpleNamespace(run=taskkill, **own))
    willing, deaf = (
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        for code in ("import sys; sys.stdin.read()", "import time; time.sleep(600)")
    )
    for one, patience in ((willing, 20), (deaf, 0.5)):
        one.stdin.close()
        processes.end_process_group(one, patience)
        assert one.poll() is not None
    assert killed == [["taskkill", "/F", "/T", "/PID", str(deaf.pid)]]


# SimpleITK on Windows opens files by names in the letters of the system's language alone
ANSI = """
import SimpleITK as sitk
def only_ascii(function, where):
    def checked(*arguments, **others):
        name = str(arguments[where])
        if not name.isascii():
            raise RuntimeError(f"The file {ascii(name)} does not exist.")
        return function(*arguments, **others)
    return checked
sitk.ImageFileReader.SetFileName = only_ascii(sitk.ImageFileReader.SetFileName, 1)
sitk.ImageFileWriter.SetFileName = only_ascii(sitk.ImageFileWriter.SetFileName, 1)
sitk.ReadImage = only_ascii(sitk.ReadImage, 0)
sitk.WriteImage = only_ascii(sitk.WriteImage, 1)
"""


def test_a_user_whose_name_has_other_letters(slicer, cold_home, tmp_path, monkeypatch):
    """Slicer's temporary folder bears it. A run with previews, anatomy and result, with a SimpleITK that opens ASCII
    names alone.
    """
    from MedDiffFMPanels.runner import shared_worker
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    home = tmp_path / "Temp" / "Slicer-Łukasz Müller 中"
    home.mkdir(parents=True)
    monkeypatch.setattr(shared_worker, "temporaryFolder", lambda: str(home))
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(ANSI, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site))
    chest = add_chest(z=slice(50, 58), y=slice(20, 36), x=slice(20, 36))
    organs = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    organs.SetReferenceImageGeometryParameterFromVolumeNode(chest)
    key = organs.GetSegmentation().AddEmptySegment("liver", "liver")
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones((8, 16, 16), np.uint8), organs, key, chest)
    logic, previews, ends = DenoiseLogic(), [], []
    parameters = {"model": "tiny", "device": "cpu", "sigma": "20", "anatomy": organs}
    logic.start({"input": chest}, parameters, onPreview=previews.append, onEnd=lambda *end: ends.append(end))
    wait_until(lambda: ends, PATIENCE)
    assert ends[0][1] is None, ends[0][1]
    assert slicer.util.arrayFromVolume(ends[0][0][0]).shape == (8, 16, 16)
    shared_worker.sharedWorker().end()
    assert list(home.iterdir()) == []


def test_what_a_request_names_lies_in_the_workers_folder(slicer, tmp_path):
    """Names without the folders above, results and previews found again; files elsewhere stay where they are."""
    from MedDiffFMPanels.runner.job import outputFiles, previewFile, sharedWorker

    _, ends = start(program(tmp_path, ONE_LINE))
    wait_until(lambda: ends)
    folder = sharedWorker().folder / "job-1"
    folder.mkdir()
    (folder / "a.json").write_text("{}")
    assert sharedWorker().relativePath(folder) == "job-1"
    files = {"files": {"output": [{"path": "job-1/a.nrrd", "provenance": "job-1/a.json"}]}}
    assert outputFiles(files, "output", folder) == [(folder / "a.nrrd", "{}")]
    assert previewFile({"preview": {"path": "job-1/p.nrrd"}}, folder) == folder / "p.nrrd"
    assert previewFile({"preview": {"path": str(tmp_path / "p.nrrd")}}, folder) == tmp_path / "p.nrrd"


@pytest.mark.parametrize("seen", [True, False])
def test_an_idle_worker_ends(slicer, tmp_path, monkeypatch, seen):
    """It would keep memory, the graphics card's too, that another module needs. A job that runs keeps it."""
    from MedDiffFMPanels.runner import shared_worker

    monkeypatch.setattr(shared_worker, "IDLE_SECONDS" if seen else "LEFT_SECONDS", 0.3)
    worker = shared_worker.sharedWorker()
    slow = ONE_LINE.replace("    print(", "    import time; time.sleep(1.5)\n    print(")
    _, ends = start(program(tmp_path, slow))
    wait_until(lambda: worker.pid)
    worker.panelEntered() if seen else worker.panelLeft()
    wait_until(lambda: ends)
    assert ends[0][1] is None and worker.pid is not None, "a job ran"
    wait_until(lambda: worker.pid is None)
    worker.panelEntered()


def test_a_panel_that_is_left_lets_the_worker_go(slicer, open_panel, tmp_path, monkeypatch):
    from MedDiffFMPanels.runner import shared_worker

    monkeypatch.setattr(shared_worker, "LEFT_SECONDS", 0.2)
    panel = open_panel("MedDiffFMDenoise")
    _, ends = start(program(tmp_path, ONE_LINE))
    wait_until(lambda: ends)
    harness.leave_module(panel)
    wait_until(lambda: shared_worker.sharedWorker().pid is None)
    harness.enter_module(panel)


def test_leaving_while_the_worker_is_asked_who_it_is(slicer, open_panel, tmp_path, monkeypatch):
    """The question is dropped: Run is not gray in the other panels because of it."""
    from MedDiffFMPanels.runner import shared_worker
    from MedDiffFMPanels.runner.backend import Backend, saveBackend

    saveBackend(program(tmp_path, "import time; time.sleep(600)"))
    panel = open_panel("MedDiffFMDenoise")
    harness.click(panel.ui.testButton)
    assert shared_worker.sharedWorker().job is not None and not panel.ui.testButton.enabled
    harness.leave_module(panel)
    assert shared_worker.sharedWorker().job is None and panel.ui.testButton.enabled
    harness.enter_module(panel)
    saveBackend(Backend())
