"""Files, the worker's process, and the log that a timer tails: against real files and real processes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from harness import wait_until
from panels import add_chest, folders_left, group_is_gone
from patience import AT_ONCE
from turns import Turns

TYPES = ("int8", "uint8", "int16", "uint16", "int32", "float32", "float64")
OBLIQUE = np.array([[0.8, -0.36, 0.0, 12.5], [0.48, 0.6, 0.0, -7.25], [0.0, 0.0, 2.5, 99.125], [0, 0, 0, 1]])
TURN = np.array([[0.8, -0.6, 0.0, 13.5], [0.6, 0.8, 0.0, -12.5], [0.0, 0.0, 0.9, 1.2], [0, 0, 0, 1]])
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def go_through(walk):
    """A walk of small pieces at once; what it returns."""
    while True:
        try:
            next(walk)
        except StopIteration as end:
            return end.value


def itk_matrix(image):
    """Index to mm in RAS, as SimpleITK sees it."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return TO_LPS @ matrix


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_written_volumes_are_read_by_simpleitk_and_back(slicer, tmp_path, kind, compress):
    from MedDiffFMPanels.scene.nrrd import readNrrd, writeNrrd

    voxels = np.random.default_rng(0).integers(0, 100, (5, 7, 6)).astype(kind)
    path = tmp_path / "a.nrrd"
    go_through(writeNrrd(path, voxels, OBLIQUE, compress))
    image = sitk.ReadImage(path)
    assert (sitk.GetArrayFromImage(image) == voxels).all() and image.GetSize() == (6, 7, 5)
    assert np.allclose(itk_matrix(image), OBLIQUE)
    again, matrix = go_through(readNrrd(path))
    assert again.dtype == voxels.dtype and (again == voxels).all() and np.allclose(matrix, OBLIQUE)


@pytest.mark.parametrize("compress", [False, True])
def test_volumes_of_simpleitk_are_read(slicer, tmp_path, compress):
    from MedDiffFMPanels.scene.nrrd import readNrrd

    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, tmp_path / "b.nrrd", compress)
    voxels, matrix = go_through(readNrrd(tmp_path / "b.nrrd"))
    assert (voxels == sitk.GetArrayFromImage(image)).all() and np.allclose(matrix, itk_matrix(image))


def test_a_cut_file_is_refused(slicer, tmp_path):
    from MedDiffFMPanels.scene.nrrd import readNrrd, writeNrrd

    path = tmp_path / "c.nrrd"
    go_through(writeNrrd(path, np.zeros((4, 4, 4), np.int16), np.eye(4)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="ends before its last voxel"):
        go_through(readNrrd(path))


def test_files_pass_in_small_pieces(slicer, tmp_path):
    """However fast the computer: no step of 32 MiB is longer than a piece, and no turn takes many."""
    from MedDiffFMPanels.runner.job import TURN_SECONDS
    from MedDiffFMPanels.scene.nrrd import PIECE, readNrrd, writeNrrd

    voxels, path = np.zeros((64, 512, 512), np.int16), tmp_path / "large.nrrd"
    steps = [sum(1 for _ in writeNrrd(path, voxels, OBLIQUE)), sum(1 for _ in readNrrd(path))]
    assert min(steps) == voxels.nbytes // PIECE >= 8 and TURN_SECONDS <= 0.05


def test_a_segmentation_reaches_the_backend_with_its_names(slicer, tmp_path):
    """Segments as the backend reads them: on the CT's grid, with the numbers of its classes."""
    from MedDiffFMLib import read_anatomy, read_volume
    from MedDiffFMLib.anatomy.classes import label_number
    from MedDiffFMPanels.scene.exchange import exportLabels, ijkToRAS
    from MedDiffFMPanels.scene.nrrd import writeNrrd

    chest = add_chest()
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(chest)
    mask = np.zeros(slicer.util.arrayFromVolume(chest).shape, np.uint8)
    mask[4:9, 10:20, 40:50] = 1
    for name, where in (("aorta", mask), ("liver", mask[:, :, ::-1])):
        one = segmentation.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(where.copy(), segmentation, one, chest)
    labels, names = go_through(exportLabels(segmentation, chest))
    assert names == {1: "aorta", 2: "liver"} and ((labels == 1) == (mask > 0)).all()
    go_through(writeNrrd(tmp_path / "organs.nrrd", labels, ijkToRAS(chest), segments=names))
    go_through(writeNrrd(tmp_path / "ct.nrrd", slicer.util.arrayFromVolume(chest), ijkToRAS(chest)))
    anatomy = read_anatomy(tmp_path / "organs.nrrd", like=read_volume(tmp_path / "ct.nrrd"))
    found = {int(value) for value in np.unique(anatomy.voxels)}
    assert found == {0, label_number("aorta"), label_number("liver")}


@pytest.mark.parametrize("grid", ["its own", "oblique"])
def test_labels_are_those_that_slicer_exports(slicer, monkeypatch, grid):
    """Overlapping segments, an empty one, and a segmentation that is moved: slab by slab as Slicer's own way, segment
    by segment; and no node comes and goes meanwhile.
    """
    import vtk

    from MedDiffFMPanels.scene import exchange

    chest = add_chest()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.SetReferenceImageGeometryParameterFromVolumeNode(chest)
    mask = np.zeros(slicer.util.arrayFromVolume(chest).shape, np.uint8)
    mask[4:20, 10:40, 10:50] = 1
    for name, where in (("liver", mask), ("over it", mask[::-1]), ("empty", 0 * mask), ("aside", mask[:, ::-1] * 1)):
        key = node.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(where.copy(), node, key, chest)
    if grid == "oblique":
        moved, matrix = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 4.2)
        moved.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(moved.GetID())
        chest = slicer.util.addVolumeFromArray(
            np.zeros((40, 50, 60), np.int16), ijkToRAS=exchange.ijkToRAS(chest) @ TURN
        )
    expected = np.zeros(slicer.util.arrayFromVolume(chest).shape, np.uint8)
    for number, key in enumerate(node.GetSegmentation().GetSegmentIDs(), 1):
        if key != "empty":  # Slicer's own way fails for it on another grid
            expected[slicer.util.arrayFromSegmentBinaryLabelmap(node, key, chest) > 0] = number
    monkeypatch.setattr(exchange, "SLAB", 1)
    seen = []
    tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, lambda *event: seen.append(event))
    labels, names = go_through(exchange.exportLabels(node, chest))
    slicer.mrmlScene.RemoveObserver(tag)
    assert labels.dtype == np.uint8 and np.array_equal(labels, expected) and set(np.unique(labels)) == {0, 1, 2, 4}
    assert list(names.values()) == ["liver", "over it", "empty", "aside"] and not seen


@pytest.fixture
def command(tmp_path):
    """A place whose worker is a small program."""
    from MedDiffFMPanels.runner.backend import Backend

    def write(text):
        program = tmp_path / "program.py"
        program.write_text(text, encoding="utf-8")
        return Backend("command", "", f"{sys.executable} -u {program}")

    return write


CHATTY = """
import json, sys
for line in sys.stdin:
    key = json.loads(line)["id"]
    for n in range(20000):
        print(json.dumps({"event": "progress", "id": key, "step": n, "steps": 20000, "fraction": n / 20000}))
    print("a greeting that is no event")
    print(json.dumps({"event": "looked", "id": key, "facts": {"n": 20000}}), flush=True)
"""

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
print('{"event": "accepted", "id": null}', flush=True)
time.sleep(600)
"""


def start(backend, onProgress=None, request=None):
    """A job without files; the list gets its end."""
    from MedDiffFMPanels.runner.job import Job

    def prepare(folder, at):
        return request or {"request": "look"}
        yield

    def finish(event, folder):
        return event
        yield

    ends = []
    job = Job(prepare, finish, onProgress, lambda *end: ends.append(end), backend)
    job.start()
    return job, ends


@pytest.fixture(autouse=True)
def no_worker_stays(slicer):
    from MedDiffFMPanels.runner.job import sharedWorker

    yield
    sharedWorker().end()
    assert folders_left() == []


def test_a_flood_of_progress_stalls_nothing(slicer, command):
    turns, heard = Turns(), []
    _, ends = start(command(CHATTY), heard.append)
    wait_until(lambda: ends)
    turns.check()
    assert ends[0][0]["facts"] == {"n": 20000} and len(heard) == 20000 and heard[-1]["step"] == 19999


def test_a_long_request_passes_piece_by_piece(slicer, command, tmp_path):
    """8 MB to a program that reads nothing until a signal comes: nobody waits for the pipe."""
    from MedDiffFMPanels.runner.job import sharedWorker

    slow = (
        f"import json, os, pathlib, sys, time\nsignal, total = pathlib.Path({str(tmp_path / 'signal')!r}), b''\n"
        f"until = time.monotonic() + {AT_ONCE}\n"
        "while not signal.exists():\n    time.sleep(0.02)\n    assert time.monotonic() < until\n"
        "while not total.endswith(b'\\n'):\n    total += os.read(0, 1 << 18)\n    time.sleep(0.005)\n"
        "key = json.loads(total)\n"
        "print(json.dumps({'event': 'looked', 'id': key['id'], 'n': len(key['data'])}), flush=True)\n"
        "time.sleep(1)\n"
    )
    _, ends = start(command(slow), request={"request": "look", "data": "x" * (8 << 20)})
    wait_until(lambda: sharedWorker().pid and sharedWorker().job is not None)
    slicer.app.processEvents()
    assert not ends
    (tmp_path / "signal").touch()
    wait_until(lambda: ends)
    assert ends[0][0]["n"] == 8 << 20


def test_cancel_ends_what_does_not_want_to_end(slicer, command):
    """A program and its child that ignore stdin and SIGTERM; by the panel's clock within 3 s, killing included."""
    from MedDiffFMPanels.runner.job import CANCEL_SECONDS, sharedWorker

    heard = []
    job, ends = start(command(STUBBORN), heard.append)
    wait_until(lambda: heard)
    pid = sharedWorker().pid
    job.cancel()
    wait_until(lambda: ends, AT_ONCE)
    assert ends == [(None, None)] and CANCEL_SECONDS <= 2.5
    wait_until(lambda: group_is_gone(pid))


def test_one_job_at_a_time(slicer, command):
    from MedDiffFMPanels.failures import Failure

    job, _ = start(command(STUBBORN))
    with pytest.raises(Failure) as caught:
        start(command(STUBBORN))
    assert "Another computation is running" in caught.value.message
    job.abandon()
    assert not job.running


def test_a_program_that_ends_by_itself(slicer, command):
    _, ends = start(command("import sys; sys.exit('bad luck')"))
    wait_until(lambda: ends)
    failure = ends[0][1]
    assert failure.kind == "crash" and "code 1: bad luck" in failure.message


def test_the_log_of_events_does_not_grow_for_ever(slicer, command, monkeypatch):
    """A worker elsewhere writes whole volumes there. The next job gets a worker and a log of its own."""
    from MedDiffFMPanels.runner import shared_worker
    from MedDiffFMPanels.runner.job import sharedWorker

    backend, pids = command(CHATTY), []
    for most in (shared_worker.MAX_EVENT_BYTES, 1000):
        monkeypatch.setattr(shared_worker, "MAX_EVENT_BYTES", most)
        _, ends = start(backend)
        wait_until(lambda ends=ends: ends)
        pids.append(sharedWorker().pid)
    assert pids[0] is not None and pids[1] is None and folders_left() == []


COPIER = """
import json, shutil, sys
for line in sys.stdin:
    request = json.loads(line)
    files = {slot: f"{request['folder']}/{name}" for slot, name in request["files"].items()}
    shutil.copy(files["input"], files["output"])
    result = [{"path": files["output"], "provenance": None}]
    print(json.dumps({"event": "result", "id": request["id"], "files": {"output": result}}), flush=True)
"""


def here(folder, program):
    """A place on this computer, whose worker is a small program that is given files by their paths."""
    from MedDiffFMPanels.runner.backend import Backend

    class Here(Backend):
        remote = False

    path = folder / f"program{len(list(folder.iterdir()))}.py"
    path.write_text(program, encoding="utf-8")
    return Here("command", "", f"{sys.executable} {path}")


def test_a_volume_of_an_earlier_run_may_be_deleted(slicer, tmp_path):
    """Only what a run works on stops it."""
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    logic, ends, first, second = DenoiseLogic(), [], add_chest("First"), add_chest("Second")
    logic.start({"input": first}, {}, onEnd=lambda *end: ends.append(end), backend=here(tmp_path, COPIER))
    wait_until(lambda: ends)
    assert ends[0][1] is None
    logic.start({"input": second}, {}, onEnd=lambda *end: ends.append(end), backend=here(tmp_path, STUBBORN))
    slicer.mrmlScene.RemoveNode(first)
    assert logic.busy and logic._job._cancelTime is None
    slicer.mrmlScene.RemoveNode(second)
    assert logic._job._cancelTime is not None
    wait_until(lambda: len(ends) == 2)
    assert "“Second” was deleted" in ends[1][1].message


def test_a_large_volume_goes_there_and_back_without_a_halt(slicer, tmp_path):
    """512 × 512 × 200 voxels, 105 MB, written, read and put into the scene: no turn of the timer is long."""
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    voxels = np.random.default_rng(0).integers(-1000, 1000, (200, 512, 512), dtype=np.int16)
    node = slicer.util.addVolumeFromArray(voxels, name="Large")
    node.CreateDefaultDisplayNodes()
    turns, ends = Turns(), []
    DenoiseLogic().start({"input": node}, {}, onEnd=lambda *end: ends.append(end), backend=here(tmp_path, COPIER))
    wait_until(lambda: ends)
    turns.check()
    (nodes, failure) = ends[0]
    assert failure is None and (slicer.util.arrayFromVolume(nodes[0]) == voxels).all()
