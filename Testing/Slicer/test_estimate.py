"""When a panel asks the worker for the estimate of a run, and that it comes whatever becomes of a worker."""

from __future__ import annotations

import os
import signal

import pytest
from panel_run import end
from panels import add_chest
from small_worker import looks, pause, small_worker, wait_for_estimate
from test_every_panel import CROP, add_organs

pytest.importorskip("slicer")
import harness
from harness import wait_until

KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
CRASHED = "sys.exit('bad luck')"
ENDED = 'answer = {"event": "cancelled"}'  # as a worker says that was ended by SIGTERM
WAITS = "time.sleep(600)"
REFUSES = 'answer = {"event": "error", "kind": "input", "message": "It is no CT."}'


@pytest.fixture
def backend(slicer, tmp_path):
    with small_worker(tmp_path):
        yield


@pytest.fixture
def open_one(backend, open_panel):
    """A panel with an input; what it did ends without a trace."""
    opened = []

    def open_(module="MedDiffFMDenoise"):
        add_organs(add_chest(**CROP))
        opened.append(open_panel(module))
        return opened[-1]

    yield open_
    for panel in opened:
        panel.advanced.cancelHello()
        end(panel)


@pytest.mark.parametrize("first", [KILLED, CRASHED, ENDED], ids=["killed", "crashed", "ended"])
def test_a_worker_that_ends_during_a_look_is_asked_again(slicer, open_one, tmp_path, first):
    (tmp_path / "first.py").write_text(first)
    panel = open_one()
    wait_for_estimate(panel)
    assert len(looks(tmp_path)) == 2


def test_a_worker_that_is_killed_from_outside_is_asked_again(slicer, open_one, tmp_path):
    from MedDiffFMPanels.runner.job import sharedWorker

    (tmp_path / "first.py").write_text(WAITS)
    panel = open_one()
    wait_until(lambda: looks(tmp_path) and not (tmp_path / "first.py").exists())
    os.killpg(sharedWorker().pid, signal.SIGKILL)
    wait_for_estimate(panel)


def test_a_worker_that_cannot_work_is_not_asked_for_ever(slicer, open_one, tmp_path):
    """Twice for one state; for another one again."""
    (tmp_path / "first.py").write_text("# always\n" + CRASHED)
    panel = open_one()
    wait_until(lambda: len(looks(tmp_path)) == 2)
    pause(2.5)
    assert len(looks(tmp_path)) == 2 and panel.ui.estimateLabel.text == "" and panel.ui.runButton.enabled
    (tmp_path / "first.py").unlink()
    panel.ui.stepsBox.value = 7
    wait_for_estimate(panel)


def test_what_is_wrong_with_the_input_is_asked_once(slicer, open_one, tmp_path):
    (tmp_path / "first.py").write_text("# always\n" + REFUSES)
    panel = open_one()
    wait_until(lambda: "It is no CT." in panel.ui.estimateLabel.text)
    pause()
    assert len(looks(tmp_path)) == 1 and "It is no CT." in panel.ui.estimateLabel.text


def test_an_idle_worker_that_ends_before_a_look_is_started_again(slicer, open_one, tmp_path, monkeypatch):
    """It ends after the last change and before the panel asks."""
    from MedDiffFMPanels.runner import shared_worker

    panel = open_one()
    wait_for_estimate(panel)
    worker = shared_worker.sharedWorker()
    wait_until(lambda: worker.job is None)
    monkeypatch.setattr(shared_worker, "IDLE_SECONDS", 0.2)
    worker.restartIdleTimer()
    panel.ui.stepsBox.value = 7
    wait_until(lambda: worker.pid is None)
    wait_for_estimate(panel)
    assert [one.get("steps") for one in looks(tmp_path)] == [None, "7"]


def test_a_look_that_was_dropped_is_asked_again_for_the_same_state(slicer, open_one, tmp_path):
    (tmp_path / "first.py").write_text("time.sleep(1)")
    panel = open_one()
    wait_until(lambda: looks(tmp_path))
    harness.leave_module(panel)
    harness.enter_module(panel)
    wait_for_estimate(panel)
    assert len(looks(tmp_path)) == 2


@pytest.mark.parametrize("when", ["during a look", "after it"])
def test_the_set_up_asks_again(slicer, open_one, tmp_path, monkeypatch, when):
    """It ends the worker, whatever that does."""
    from MedDiffFMPanels.dialogs import setup

    monkeypatch.setattr(setup, "offerSetUp", lambda parent: True)
    if when == "during a look":
        (tmp_path / "first.py").write_text(WAITS)
    panel = open_one()
    wait_until(lambda: looks(tmp_path)) if when == "during a look" else wait_for_estimate(panel)
    panel.advanced.onSetUp()
    wait_until(lambda: len(looks(tmp_path)) == 2)
    wait_for_estimate(panel)
    assert "Error" not in panel.ui.systemLabel.text


def test_a_changed_place_asks_there_and_not_here(slicer, open_one, tmp_path):
    from MedDiffFMPanels.runner.backend import Backend
    from MedDiffFMPanels.runner.job import sharedWorker

    (tmp_path / "first.py").write_text(WAITS)
    panel = open_one()
    wait_until(lambda: looks(tmp_path))
    other = tmp_path / "other python"
    other.write_text((tmp_path / "python").read_text())
    other.chmod(0o755)
    panel.advanced._saveBackend(Backend("python", str(other)))
    assert sharedWorker().job is None, "nobody waits for the old one"
    wait_for_estimate(panel)


@pytest.mark.parametrize("module", ["MedDiffFMDenoise", "MedDiffFMSynthesize"])
def test_another_seed_needs_no_other_estimate(slicer, open_one, tmp_path, module):
    panel = open_one(module)
    wait_for_estimate(panel)
    before = len(looks(tmp_path))
    panel.ui.seedBox.value = 4711
    assert "about 1 min" in panel.ui.estimateLabel.text, "it is still true"
    pause()
    assert len(looks(tmp_path)) == before and "about 1 min" in panel.ui.estimateLabel.text


def test_more_samples_need_another_estimate(slicer, open_one, tmp_path):
    """They take longer, although they differ by their seeds alone."""
    panel = open_one("MedDiffFMSynthesize")
    wait_for_estimate(panel)
    panel.ui.samplesSpin.value = 3
    assert "about 1 min" not in panel.ui.estimateLabel.text
    wait_for_estimate(panel)
    assert looks(tmp_path)[-1]["samples"] == "3"


def test_seed_and_strength_alone_have_no_effect_on_an_estimate(slicer):
    from MedDiffFMLib.parameters import TASKS

    assert {name for task in TASKS.values() for name in task.without_effect_on_estimate()} == {
        *("seed", "strength", "uncertainty"),
    }


def test_the_set_up_leaves_a_run_alone(slicer, open_one, tmp_path, monkeypatch):
    """It would end the worker under it."""
    from MedDiffFMPanels.dialogs import setup

    monkeypatch.setattr(setup, "offerSetUp", lambda parent: pytest.fail("it was offered"))
    panel = open_one()
    wait_for_estimate(panel)
    text = (tmp_path / "worker.py").read_text()
    assert text.count('answer = {"event": "hello"}') == 1
    panel.estimate.stop()
    panel.advanced.cancelHello()
    (tmp_path / "worker.py").write_text(text.replace('answer = {"event": "hello"}', "time.sleep(2); sys.exit('later')"))
    end(panel)
    harness.click(panel.ui.runButton)
    panel.advanced.onSetUp()
    assert "Wait for its end" in panel.ui.messageLabel.text and panel.logic.busy
    wait_until(lambda: not panel.logic.busy)
    assert "later" in panel.ui.messageLabel.text, "it was not the set-up that ended it"
