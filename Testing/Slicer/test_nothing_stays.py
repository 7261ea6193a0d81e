"""After a scene is closed: no node, no timer, no process, no file, although what is connected lives as long as its
sender (as PythonQt has it, see harness/connections.py).
"""

from __future__ import annotations

import gc
import shlex
import sys

import harness
import pytest
from harness import wait_until
from harness.connections import kept
from panel_run import run
from panels import add_chest, folders_left
from test_job import COPIER, STUBBORN, here


def connected():
    """What the timers of jobs, commands and loops still call."""
    from MedDiffFMPanels.runner.command import Command
    from MedDiffFMPanels.runner.job import Job
    from MedDiffFMPanels.toolkit.timer_loop import TimerLoop

    functions = [function for some in kept.values() for function in some]
    return [f for f in functions if isinstance(getattr(f, "__self__", None), (Job, Command, TimerLoop))]


class Gone:
    """Counts the nodes that are really deleted."""

    def __init__(self):
        self.count = 0

    def watch(self, node):
        node.AddObserver("DeleteEvent", self._deleted)
        return node

    def _deleted(self, caller, event):
        self.count += 1


def settle(slicer):
    """Deferred deletions, which wait for the outer event loop in tests."""
    import qt

    slicer.app.processEvents()
    qt.QCoreApplication.sendPostedEvents(None, 52)  # QEvent::DeferredDelete
    gc.collect()


@pytest.mark.parametrize("how", ["run", "cancel", "look", "abandon"])
def test_a_closed_scene_leaves_no_ct_of_a_job(slicer, tmp_path, how):
    from MedDiffFMPanels.runner.job import sharedWorker
    from MedDiffFMPanels.tasks.denoise import DenoiseLogic

    gone, logic, ends = Gone(), DenoiseLogic(), []
    chest = gone.watch(add_chest())
    backend = here(tmp_path, COPIER if how == "run" else STUBBORN)
    if how == "look":
        logic.estimate({"input": chest}, {}, lambda *end: ends.append(1), backend)
    else:
        logic.start({"input": chest}, {}, onEnd=lambda *end: ends.append(1), backend=backend)
    if how != "run":
        wait_until(lambda: sharedWorker().pid)
        logic.abandon() if how == "abandon" else logic.cancel()
    wait_until(lambda: ends or how == "abandon")
    del chest
    slicer.mrmlScene.Clear(False)
    sharedWorker().end()
    settle(slicer)
    assert gone.count == 1, "the CT is still held"
    assert connected() == [] and folders_left() == [] and sharedWorker().pid is None


def test_commands_and_loops_let_go_of_what_they_knew(slicer, tmp_path):
    from MedDiffFMPanels.runner.command import Command
    from MedDiffFMPanels.toolkit.timer_loop import TimerLoop

    class Known:
        alive = 0

        def __init__(self):
            Known.alive += 1

        def __del__(self):
            Known.alive -= 1

    def steps(known):
        yield known
        return known

    ends = []
    for stopped in (False, True):
        known = Known()
        loop = TimerLoop(steps(known), lambda result, error, known=known: ends.append("loop"))
        if stopped:
            loop.stop()
        else:
            wait_until(lambda: ends)
        known = Known()
        command = Command(
            ["--version"], lambda event, known=known: None, lambda code, failure, known=known: ends.append(code)
        )
        if stopped:
            command.abandon()
        else:
            wait_until(lambda: len(ends) == 2)
    del known, loop, command
    settle(slicer)
    assert connected() == [] and Known.alive == 0 and ends == ["loop", 0] and folders_left() == []


ELSEWHERE = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    data = request["files"]["input"]["data"]
    progress = {"event": "progress", "id": request["id"], "step": 1, "steps": 2, "window": 1, "windows": 1}
    preview = {"preview": {"name": "preview.nrrd", "data": data}, "fraction": 0.5, "seconds_left": 1}
    print(json.dumps(progress | preview))
    result = [{"name": "output-result.nrrd", "data": data, "provenance": "{}"}]
    print(json.dumps({"event": "result", "id": request["id"], "files": {"output": result}}), flush=True)
"""


def test_a_panel_holds_nothing_of_a_closed_scene(slicer, open_panel, tmp_path):
    """A run with a preview to its result; then the panel is left, entered, and the scene closed."""
    from MedDiffFMPanels.runner.backend import Backend, saveBackend
    from MedDiffFMPanels.runner.job import sharedWorker

    program = tmp_path / "program.py"
    program.write_text(ELSEWHERE)
    gone, chest = Gone(), add_chest()
    gone.watch(chest)
    saveBackend(Backend("command", "", shlex.join([sys.executable, str(program)])))
    try:
        panel = open_panel("MedDiffFMDenoise")
        run(panel)
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        assert len(nodes) == 2, panel.ui.messageLabel.text
        gone.watch(next(node for node in nodes if node is not chest))
        harness.leave_module(panel)
        harness.enter_module(panel)
        del chest, nodes
        slicer.mrmlScene.Clear(False)
        sharedWorker().end()
        settle(slicer)
        assert gone.count == 2 and connected() == [] and folders_left() == []
    finally:
        saveBackend(Backend())
