"""The CT is written to the disk once for the estimate and the runs after it, and nothing of it stays there."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from panel_run import end, run
from panels import add_chest, folders_left
from small_worker import PROGRAM, requests, small_worker, wait_for_estimate
from test_job import STUBBORN, here

pytest.importorskip("slicer")
import harness
from harness import wait_until


@pytest.fixture
def written(monkeypatch):
    """The names of the nodes whose voxels were written, in their order."""
    from MedDiffFMPanels.scene import written_volume

    names, write = [], written_volume.writeNrrd

    def counted(path, *rest):
        names.append(Path(path).name)
        return write(path, *rest)

    monkeypatch.setattr(written_volume, "writeNrrd", counted)
    return names


@pytest.fixture
def backend(slicer, tmp_path):
    with small_worker(tmp_path):
        yield


@pytest.fixture
def panel(backend, open_panel):
    add_chest()
    widget = open_panel("MedDiffFMDenoise")
    wait_for_estimate(widget)
    yield widget
    end(widget)


def kept():
    """The files of CTs that lie on the disk now."""
    import slicer

    return [str(path) for path in Path(slicer.app.temporaryPath).glob("MedDiffFM-*/volume-*/*")]


def result(slicer, number=0):
    return slicer.util.arrayFromVolume(slicer.util.getNode("Chest denoised" + (f"_{number}" if number else "")))


def test_a_run_after_the_estimate_writes_no_ct(slicer, panel, written, tmp_path):
    """Nor does a second run; and the worker is given the same file, so that it may know it again."""
    assert len(kept()) == 1
    run(panel)
    run(panel)
    assert written == []
    for number in (0, 1):
        assert (result(slicer, number) == slicer.util.arrayFromVolume(panel.inputNode)).all()
    paths = {
        os.path.normpath(os.path.join(one["folder"], one["files"]["input"]))
        for kind in ("look", "run")
        for one in requests(tmp_path, kind)
    }
    assert len(paths) == 1 and next(iter(paths)).endswith("input.nrrd")


def test_another_panel_takes_the_same_file(slicer, panel, written, open_panel):
    harness.leave_module(panel)
    other = open_panel("MedDiffFMSuperResolve")
    other.ui.spacingBox.value = 0.75
    wait_for_estimate(other)
    assert written == [] and len(kept()) == 1
    end(other)


@pytest.mark.parametrize("what", ["voxels", "other voxels", "origin", "direction", "hardened"])
def test_a_changed_ct_is_written_anew(slicer, panel, written, what):
    """And the old file is gone at once, before anybody asks for the new one."""
    import vtk

    node, (old,) = panel.inputNode, kept()
    harness.leave_module(panel)  # no estimate writes it meanwhile
    if what == "voxels":
        slicer.util.arrayFromVolume(node)[3, 4, 5] += 100
        slicer.util.arrayFromVolumeModified(node)
    elif what == "other voxels":
        slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[::-1].copy())
    elif what == "origin":
        node.SetOrigin(1, 2, 3)
    elif what == "direction":
        node.SetIJKToRASDirections(0, 1, 0, 1, 0, 0, 0, 0, 1)
    else:
        transform, matrix = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
        matrix.SetElement(1, 3, 25.0)
        transform.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(transform.GetID())
        slicer.vtkSlicerTransformLogic().hardenTransform(node)
    assert kept() == []
    harness.enter_module(panel)
    wait_for_estimate(panel)
    (new,) = kept()
    run(panel)
    assert written == ["input.nrrd"] and new != old
    image = sitk.ReadImage(new)
    assert (sitk.GetArrayFromImage(image) == slicer.util.arrayFromVolume(node)).all()
    assert np.allclose(image.GetOrigin(), np.multiply(node.GetOrigin(), (-1, -1, 1)))
    assert (result(slicer) == slicer.util.arrayFromVolume(node)).all()


def test_what_is_no_change_of_the_ct_leaves_the_file(slicer, panel, written):
    """Its window, its name, an attribute, and a setting of the panel."""
    node, before = panel.inputNode, kept()
    node.GetDisplayNode().SetWindowLevel(1500, -500)
    node.SetName("Renamed")
    node.SetAttribute("mine", "1")
    panel.ui.stepsBox.value = 7
    run(panel)
    assert written == [] and kept() == before


@pytest.mark.parametrize("how", ["removed", "closed", "cleanup", "quit", "left"])
def test_nothing_is_left(slicer, panel, how, monkeypatch):
    from MedDiffFMPanels.runner import shared_worker

    assert len(kept()) == 1
    if how == "removed":
        slicer.mrmlScene.RemoveNode(panel.inputNode)
        assert kept() == []
    elif how == "closed":
        slicer.mrmlScene.Clear(False)
        assert kept() == []
    elif how == "cleanup":
        harness.leave_module(panel)
        panel.cleanup()
        assert folders_left() == []
    elif how == "quit":
        slicer.app.aboutToQuit.emit()
        assert folders_left() == []
    else:
        monkeypatch.setattr(shared_worker, "LEFT_SECONDS", 0.1)
        harness.leave_module(panel)
        wait_until(lambda: folders_left() == [])
        harness.enter_module(panel)


def test_a_worker_that_ended_took_the_file_along(slicer, panel, written):
    """The next run writes it again."""
    from MedDiffFMPanels.runner.job import sharedWorker

    sharedWorker().end()
    assert kept() == []
    run(panel)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    assert written == ["input.nrrd"] and (result(slicer) == slicer.util.arrayFromVolume(panel.inputNode)).all()


def test_a_run_keeps_the_file_that_it_reads(slicer, tmp_path):
    """A worker that has not opened it yet finds it, although the CT was changed meanwhile; then it goes."""
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    slow = PROGRAM.replace("    if request", "    time.sleep(1)\n    if request", 1)
    chest, ends = add_chest(), []
    before, logic = slicer.util.arrayFromVolume(chest).copy(), DenoiseLogic()
    logic.start({"input": chest}, {}, onEnd=lambda *one: ends.append(one), backend=here(tmp_path, slow))
    wait_until(lambda: (tmp_path / "requests.jsonl").exists())
    slicer.util.arrayFromVolume(chest)[:] = 0
    slicer.util.arrayFromVolumeModified(chest)
    wait_until(lambda: ends)
    assert ends[0][1] is None and (result(slicer) == before).all() and kept() == []


@pytest.mark.parametrize("what", ["node", "image"])
def test_a_ct_that_changes_while_it_is_written_is_written_again(slicer, tmp_path, monkeypatch, what):
    """What the worker reads is never half of the one and half of the other."""
    from MedDiffFMPanels.scene import nrrd
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    monkeypatch.setattr(nrrd, "PIECE", 1 << 10)
    chest, ends, logic = add_chest(), [], DenoiseLogic()
    logic.start({"input": chest}, {}, onEnd=lambda *one: ends.append(one), backend=here(tmp_path, PROGRAM))
    for _ in range(10):
        next(logic._job._generator)
    slicer.util.arrayFromVolume(chest)[:] = (
        np.arange(chest.GetImageData().GetNumberOfPoints()).reshape(32, 64, 64) % 999
    )
    slicer.util.arrayFromVolumeModified(chest) if what == "node" else chest.GetImageData().Modified()
    wait_until(lambda: ends)
    assert ends[0][1] is None and (result(slicer) == slicer.util.arrayFromVolume(chest)).all()


def test_a_run_that_is_cancelled_while_it_writes_leaves_no_half_file(slicer, tmp_path, monkeypatch):
    from MedDiffFMPanels.scene import nrrd
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    monkeypatch.setattr(nrrd, "PIECE", 1 << 10)
    chest, ends, logic = add_chest(), [], DenoiseLogic()
    logic.start({"input": chest}, {}, onEnd=lambda *one: ends.append(one), backend=here(tmp_path, STUBBORN))
    for _ in range(10):
        next(logic._job._generator)
    assert len(kept()) == 1
    logic.cancel()
    wait_until(lambda: ends)
    assert ends == [(None, None)] and kept() == []


def test_a_worker_elsewhere_gets_the_file_within_the_line(slicer, tmp_path, written):
    """The second run packs nothing anew; a worker here and one elsewhere get files of their own, one is plain."""
    from test_nothing_stays import ELSEWHERE

    from MedDiffFMPanels.runner.backend import Backend
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    program = tmp_path / "elsewhere.py"
    program.write_text(ELSEWHERE.replace('"files": {"output"', '"warnings": [], "files": {"output"'))
    backend, chest, logic = (
        Backend("command", "", shlex.join([sys.executable, str(program)])),
        add_chest(),
        DenoiseLogic(),
    )
    for number in (0, 1):
        ends = []
        logic.start({"input": chest}, {}, onEnd=lambda *one, ends=ends: ends.append(one), backend=backend)
        wait_until(lambda ends=ends: ends)
        assert ends[0][1] is None and (result(slicer, number) == slicer.util.arrayFromVolume(chest)).all()
    assert written == ["input.nrrd"]
    packed = Path(kept()[0]).read_bytes()
    assert b"encoding: gzip" in packed[:500]
    logic.start({"input": chest}, {}, onEnd=lambda *one: ends.append(one), backend=here(tmp_path, PROGRAM))
    wait_until(lambda: len(ends) == 2)
    assert ends[1][1] is None and b"encoding: raw" in Path(kept()[0]).read_bytes()[:500]


@pytest.fixture(autouse=True)
def no_worker_stays(slicer):
    from MedDiffFMPanels.runner.job import sharedWorker

    yield
    sharedWorker().end()
    assert folders_left() == []
