"""What errors mean to the shell, and what the progress bar says."""

import subprocess
import sys

import pytest
import torch
import typer
from patience import PATIENCE

from MedDiffFMLib.cli import app as cli
from MedDiffFMLib.cli.bar import describe, progress_bar
from MedDiffFMLib.cli.errors import exit_code, sentence
from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.progress import Progress, Reporter


def allocate_too_much():
    torch.empty(2**60)


def test_exit_codes():
    with pytest.raises(RuntimeError) as memory:
        allocate_too_much()
    assert exit_code(InputError("x")) == 2
    assert exit_code(Cancelled()) == exit_code(KeyboardInterrupt()) == 3
    assert exit_code(memory.value) == exit_code(MemoryError()) == exit_code(torch.OutOfMemoryError("x")) == 4
    assert exit_code(ValueError("x")) == 1
    assert "--precision bfloat16" in sentence(memory.value)
    assert sentence(ValueError("two\nlines")) == "ValueError: two lines"
    assert sentence(ValueError("x"), details=True) == "ValueError: x (run again with -v for the details)"


class _Plugin:
    value = "somewhere:register"

    def __init__(self, register):
        self.register = register

    def load(self):
        return self.register


def test_a_plugin_adds_its_commands_and_a_broken_one_does_no_harm(monkeypatch, capsys):
    def register(app: typer.Typer):
        @app.command()
        def hello():
            print("hello from a plugin")

    def broken(app):
        raise ImportError("torch is not installed")

    monkeypatch.setattr(cli, "entry_points", lambda group: [_Plugin(broken), _Plugin(register)])
    assert cli.main(["hello"]) == 0
    assert capsys.readouterr().out == "hello from a plugin\n"


def test_an_unexpected_error_gives_a_sentence_and_its_traceback_only_with_v():
    code = (
        "import sys; import MedDiffFMLib.jobs.job as p; from MedDiffFMLib.cli.app import main; "
        "p.check_result_path = lambda *a: 1 / 0; sys.exit(main(sys.argv[1:]))"
    )
    for extra in ((), ("-v",)):
        arguments = [sys.executable, "-c", code, "denoise", "a", "b", *extra]
        result = subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE)
        assert result.returncode == 1 and "ZeroDivisionError: division by zero" in result.stderr
        assert ("Traceback" in result.stderr) == bool(extra)


def test_bar_words():
    assert describe(Progress(0, 8, 0, 48)) == "step 1 of 8, window 0 of 48"
    assert describe(Progress(2, 8, 13, 48, 65.2)) == "step 3 of 8, window 13 of 48, 1:05 left"
    assert describe(Progress(8, 8, 0, 48, 3723)) == "step 8 of 8, window 0 of 48, 1:02:03 left"


def test_time_left_follows_the_pace(monkeypatch):
    """A quarter of 4 steps took 10 s: 30 s are left; at the middle of the second step, after 15 s, 25 s."""
    now, events = [100.0], []
    monkeypatch.setattr("MedDiffFMLib.progress.time.monotonic", lambda: now[0])
    reporter = Reporter(events.append)
    reporter.begin(steps=4, parts=2)
    now[0] = 110.0
    reporter.step(0, 99, None)
    now[0] = 115.0
    reporter.part(1, 2)
    assert [p.seconds_left for p in events] == [None, pytest.approx(30.0), pytest.approx(25.0)]


def test_without_a_terminal_lines_are_sparse_and_quiet_is_silent(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("MedDiffFMLib.cli.bar.time.monotonic", lambda: now[0])
    for quiet in (True, False):
        with progress_bar("Denoise", quiet) as progress:
            for window in range(25):
                now[0] += 1.0
                progress(Progress(0, 1, window, 25, 25.0 - window))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "Denoise 36%, step 1 of 1, window 9 of 25, 0:16 left",
        "Denoise 76%, step 1 of 1, window 19 of 25, 0:06 left",
    ]
