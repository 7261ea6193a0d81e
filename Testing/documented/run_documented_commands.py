"""Run every command that the documents name, as written there, in small: from raw folders to each of the tables.

    python Testing/documented/run_documented_commands.py                    # all, some minutes
    python Testing/documented/run_documented_commands.py --only README.md   # documents and headings that say so

A document's blocks are run by bash one after the other, in a folder of the document that holds what it takes for
granted (`given.GIVEN`). `meddiff-fm`, `accelerate` and the like are shims there, which ask this process to do the work,
so that torch is loaded once. `blocks.SMALLER`, `DROPPED` and `ADDED` say which options differ, `LEFT_OUT` which
programs are named and not run, `workspace.SMALL` which settings of the recipes are smaller. Exit code 1 if a command
failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import blocks  # noqa: E402
import given  # noqa: E402
import workspace  # noqa: E402

SHIM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    line.sendall(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]).encode() + b"\\n")
    sys.exit(int(line.makefile().readline()))
"""


@dataclass
class Outcome:
    """What became of a command. reason: why it failed or was not run; empty if it ran."""

    words: list[str]
    seconds: float
    ran: bool
    reason: str = ""

    def __str__(self) -> str:
        what = "failed" if self.ran and self.reason else "ran" if self.ran else "not run"
        return f"{what:8}{self.seconds:6.1f} s  {' '.join(self.words)}{': ' if self.reason else ''}{self.reason}"


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass
class Runner:
    """Runs blocks in one folder, and keeps what became of each command."""

    folder: Path
    log: Callable[[object], None] = print
    outcomes: list[Outcome] = field(default_factory=list)

    def run_block(self, block: blocks.Block) -> None:
        """Run a block by bash as it stands there; what fails does not stop the rest."""
        text = "\n".join(line for line in block.text.splitlines() if not line.startswith("…"))
        with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_UNIX) as server:
            address = str(Path(home) / "socket")
            server.bind(address)
            server.listen()
            server.settimeout(0.05)
            self._write_shims(Path(home), address)
            search = f"{home}{os.pathsep}{os.environ['PATH']}"
            process = subprocess.Popen(
                ["bash", "-c", text], cwd=self.folder, env=os.environ | {"PATH": search}, stderr=subprocess.STDOUT
            )
            while process.poll() is None:
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    self._answer(connection)

    def _write_shims(self, home: Path, address: str) -> None:
        for program in blocks.PROGRAMS:
            shim = home / program
            shim.write_text(SHIM.format(python=sys.executable, address=address), encoding="utf-8")
            shim.chmod(0o755)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        with connection:
            program, *words = json.loads(connection.makefile().readline())
            outcome = self.run_command(program, words)
            self.outcomes.append(outcome)
            self.log(outcome)
            with contextlib.suppress(BrokenPipeError):  # the block was stopped
                connection.sendall(b"1\n" if outcome.ran and outcome.reason else b"0\n")

    def run_command(self, program: str, words: list[str]) -> Outcome:
        """Run one command of this project in small in this process; of others only the reason why they are not run."""
        reason = blocks.reason_not_to_run(program, words)
        if reason:
            workspace.stand_in_for(program, words, self.folder)
            return Outcome([program, *words], 0, False, reason)
        if program == "accelerate":  # one process for several
            words = words_of(words)
        small = blocks.SMALL_MODEL if (self.folder / blocks.SMALL_MODEL).is_dir() else ""
        words, started = blocks.in_small(words, small), time.monotonic()
        said = io.StringIO()
        with _inside(self.folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            workspace.prepare_for(words, self.folder)
            code = self._script(words) if program == "python" else self._main(words)
        reason = f"exit code {code}: {' '.join(said.getvalue().split())[-600:]}" if code else ""
        program = program if program == "python" else "meddiff-fm"
        return Outcome([program, *words], time.monotonic() - started, True, reason)

    @staticmethod
    def _script(words: list[str]) -> int:
        """Run a script of the repository, as in the clone."""
        before, sys.argv = sys.argv, words
        try:
            runpy.run_path(str(blocks.REPOSITORY / words[0]), run_name="__main__")
        except SystemExit as leaving:
            return int(leaving.code or 0)
        finally:
            sys.argv = before
        return 0

    @staticmethod
    def _main(words: list[str]) -> int:
        from MedDiffFMLib.cli.app import main

        try:
            return main(words)
        except SystemExit as leaving:
            return int(leaving.code or 0)


def words_of(launched: list[str]) -> list[str]:
    """The words of a command that `accelerate launch` runs, as `meddiff-fm` has them."""
    return ["train", *launched[launched.index("MedDiffFMTraining") + 1 :]]


def run_documents(folder: Path, only: str = "", log=print) -> list[Outcome]:
    """The outcomes of the commands of all documents; only: of the blocks whose document or heading says so."""
    outcomes = []
    workspace.set_environment(folder)
    for document in blocks.DOCUMENTS:
        chosen = [block for block in blocks.blocks_of(document) if only in f"{document} {block.heading}"]
        if chosen:
            runner = Runner(folder / document.replace("/", "-").removesuffix(".md"), log, outcomes)
            given.write_given(document, runner.folder)
        for block in chosen:
            log(f"--- {document}: {block.heading}")
            runner.run_block(block)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="Part of a document's name or of a heading.")
    parser.add_argument("--folder", type=Path, help="Where to run; default: a temporary folder.")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        outcomes = run_documents(chosen.folder or Path(home), chosen.only)
    failed = [outcome for outcome in outcomes if outcome.ran and outcome.reason]
    print(f"{len(outcomes)} commands: {sum(o.ran for o in outcomes)} ran, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
