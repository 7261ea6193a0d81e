"""The worker of all panels, kept from test to test with the same home: PyTorch is loaded once, as for a user, who goes
from panel to panel too. A test of how a worker starts or ends asks for no such home, and gets a worker of its own.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_home = None  # that the running test has asked for
_kept = None  # that of the worker which runs between two tests


@contextlib.contextmanager
def at_home(home: Path, slicer, monkeypatch):
    """A test with this user's folder, which it does not change, and with the worker of the one before it."""
    global _home, _kept
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(home))
    if _kept != home:
        end_kept()
    _home, before = home, sorted(home.rglob("*"))
    try:
        yield home
        rest()
        slicer.mrmlScene.Clear(False)  # with the scene goes the CT that was written for the worker
        assert files_for_the_worker() == []
        assert sorted(home.rglob("*")) == before, "the next test would have another home"
    except BaseException:
        _worker().end()
        raise
    finally:
        _home, _kept = None, home


def rest() -> None:
    """End the worker, unless it has nothing to do and the next test may want it."""
    if _home is None or _worker().job is not None:
        _worker().end()


@contextlib.contextmanager
def held():
    """While a panel is closed, which ends an idle worker: it stays as if another panel's job ran."""
    if _home is None or _worker().job is not None:
        yield
        return
    _worker().job = "between two tests"
    try:
        yield
    finally:
        _worker().job = None
        _worker().restartIdleTimer()


def end_kept() -> None:
    """End the worker that an earlier test has left."""
    global _kept
    if _kept is not None:
        _worker().end()
    _kept = None


def files_for_the_worker() -> list[str]:
    """What lies in the folder of panels and worker, but for the log of a worker that runs on."""
    import slicer

    found = list(Path(slicer.app.temporaryPath).glob("MedDiffFM-*"))
    if _home is not None and _worker().pid:
        found = [path for folder in found for path in folder.iterdir() if not path.name.startswith("log-")]
    return [path.name for path in found]


def _worker():
    from MedDiffFMPanels.runner.shared_worker import sharedWorker

    return sharedWorker()
