"""A worker for the panels that computes nothing and starts at once: a look costs a minute, a run returns its input."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time

from harness import wait_until
from patience import PATIENCE

# requests.jsonl beside it gets every request; first.py beside it is run at a look, once or "# always", and may change
# the answer
PROGRAM = """
import json, os, pathlib, shutil, signal, sys, time
here = pathlib.Path(__file__).parent
for line in sys.stdin:
    request = json.loads(line)
    with open(here / "requests.jsonl", "a") as file:
        file.write(json.dumps(request) + "\\n")
    answer = {"event": "hello"}
    if request["request"] == "look":
        answer = {"event": "looked", "facts": {"seconds": 60}, "warnings": []}
        if (here / "first.py").exists():
            first = (here / "first.py").read_text()
            if not first.startswith("# always"):
                (here / "first.py").unlink()
            exec(first)
    elif request["request"] == "run":
        name = lambda slot: os.path.join(request["folder"], request["files"][slot])
        shutil.copy(name("input"), name("output"))
        files = {"output": [{"path": name("output"), "provenance": None}]}
        answer = {"event": "result", "files": files, "summary": "", "warnings": []}
    if request["request"] != "cancel":
        print(json.dumps(answer | {"id": request["id"]}), flush=True)
"""


@contextlib.contextmanager
def small_worker(folder):
    """While this is open, the panels' place is a Python of this computer whose worker is PROGRAM, in `folder`."""
    from MedDiffFMPanels.runner.backend import Backend, saveBackend

    (folder / "worker.py").write_text(PROGRAM, encoding="utf-8")
    script = folder / "python"
    script.write_text(f"#!/bin/sh\nexec {shlex.join([sys.executable, '-u', str(folder / 'worker.py')])}\n")
    script.chmod(0o755)
    saveBackend(Backend("python", str(script)))
    yield
    saveBackend(Backend())


def requests(folder, kind):
    """All requests of a kind that the workers in `folder` were sent."""
    path = folder / "requests.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [request for request in map(json.loads, lines) if request["request"] == kind]


def looks(folder):
    """The parameters of all looks that the workers in `folder` were asked for."""
    return [request["parameters"] for request in requests(folder, "look")]


def wait_for_estimate(panel):
    """Until the panel shows the worker's answer, and the worker is free again."""
    from MedDiffFMPanels.runner.job import sharedWorker

    wait_until(lambda: "about 1 min" in panel.ui.estimateLabel.text and sharedWorker().job is None, PATIENCE / 10)


def pause(seconds=1.5):
    """Longer than a panel waits before it asks."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, seconds + 10)
