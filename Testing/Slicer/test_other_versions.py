"""A panel whose worker is of another version, as one behind `ssh` may be: it says so, and what to do, at once."""

from __future__ import annotations

import html

import pytest
from panel_run import run
from panels import add_chest, folders_left, names_in_scene
from small_worker import PROGRAM, looks, pause, requests
from test_job import here

pytest.importorskip("slicer")
from harness import wait_until

DO = "Install this panel's version of meddiff-fm where the worker runs"
UNKNOWN = 'answer = {"event": "error", "kind": "usage", "message": "There is no parameter \'quality\' here."}'


@pytest.fixture
def panel(slicer, open_panel):
    from MedDiffFMPanels.runner.job import sharedWorker

    add_chest()
    yield open_panel("MedDiffFMDenoise")
    sharedWorker().end()
    assert folders_left() == []


def use(monkeypatch, folder, program):
    """The panels' worker is this program, which gets files by their paths."""
    from MedDiffFMPanels import panel
    from MedDiffFMPanels.runner import backend
    from MedDiffFMPanels.sections import advanced, estimate

    other = here(folder, program)
    for module in (backend, advanced, estimate, panel):
        monkeypatch.setattr(module, "savedBackend", lambda: other)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'answer = {"event": "result"',
            UNKNOWN + '\n        {"event": "result"',
            "There is no parameter 'quality' here.",
        ),
        ('"files": files, ', "", "Its answer lacks 'files'."),
        ('[{"path"', '[{"where"', "Its answer lacks 'path'."),
    ],
    ids=["unknown parameter", "no files", "no path"],
)
def test_a_run_says_what_to_do(slicer, panel, tmp_path, monkeypatch, old, new, why):
    """In a moment, in words, and without a node."""
    assert PROGRAM.count(old) == 1
    use(monkeypatch, tmp_path, PROGRAM.replace(old, new))
    before = names_in_scene()
    run(panel)
    text = panel.ui.messageLabel.text
    assert "another version" in text and html.unescape(text).count(why) == 1 and DO in html.unescape(text), text
    assert names_in_scene() == before


@pytest.mark.parametrize(
    ("answer", "why"), [(UNKNOWN, "no parameter"), ('answer = {"event": "looked"}', "Its answer lacks 'facts'.")]
)
def test_an_estimate_says_what_to_do_and_is_asked_once(slicer, panel, tmp_path, monkeypatch, answer, why):
    use(monkeypatch, tmp_path, PROGRAM)
    (tmp_path / "first.py").write_text("# always\n" + answer)
    panel.ui.stepsBox.value = 7
    wait_until(lambda: DO in html.unescape(panel.ui.estimateLabel.text))
    assert why in html.unescape(panel.ui.estimateLabel.text)
    pause(2)
    assert len(looks(tmp_path)) == 1


def test_the_button_test_says_it(slicer, panel, tmp_path, monkeypatch):
    use(monkeypatch, tmp_path, PROGRAM.replace('{"event": "hello"}', '{"event": "hello", "protocol": 2}', 1))
    panel.advanced.onTest()
    wait_until(lambda: DO in html.unescape(panel.ui.systemLabel.text))
    assert "The worker speaks protocol 2, and this panel 1." in panel.ui.systemLabel.text


def test_every_job_says_its_protocol(slicer, panel, tmp_path, monkeypatch):
    """So that a later worker can tell."""
    from MedDiffFMLib.worker.protocol import PROTOCOL

    use(monkeypatch, tmp_path, PROGRAM)
    run(panel)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    assert [request["protocol"] for request in requests(tmp_path, "run")] == [PROTOCOL]
