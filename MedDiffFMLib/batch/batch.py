"""A task over a folder of CTs: its inputs, the outcome of each, and a table of them that survives a kill.

Every item is a `run` request of the worker's protocol with `resume`, so that what an earlier run finished is skipped;
who computes it (workers here, or on a Dask cluster) is a function that takes requests and yields their last events.
"""

from __future__ import annotations

import contextlib
import csv
import os
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from ..atomic import TABLE, remove_partial_files, whole_file
from ..errors import InputError, UsageError
from ..parameters import ANATOMY_WORDS, TASKS, CommonParameters, FileSlot, Parameters
from .inputs import find_inputs, scan_folder, suffix_of

__all__ = ["Batch", "Entry", "Runner", "check_patterns", "find_inputs", "option", "plan"]
STATUS = "status.csv"
COLUMNS = ("name", "status", "reason", "seconds", "outputs", "summary")
NAME = "{name}"

# takes requests and a callback for the events of running ones; yields their last events with `id`, as they end
Runner = Callable[[list[dict], Callable[[dict], None]], Generator[dict, None, None]]


@dataclass
class Entry:
    """An input of a batch and its outcome. status: waiting, done, skipped, failed, cancelled, or left out (it is no
    input, though it may look like one).
    """

    name: str
    files: dict[str, Path]
    status: str = "waiting"
    reason: str = ""
    seconds: float | None = None
    outputs: list[str] = field(default_factory=list)
    summary: str = ""

    def end(self, event: dict, folder: Path) -> None:
        """Record the outcome that the job's last event reports."""
        if event["event"] == "result":
            self.status = "skipped" if event["skipped"] else "done"
            self.reason = "finished by an earlier run" if event["skipped"] else ""
            warnings = [f"Warning: {sentence}" for sentence in event.get("warnings", ())]
            self.seconds, self.summary = event["seconds"], "; ".join((event["summary"], *warnings))
            paths_of_result = [file["path"] for files_of_slot in event["files"].values() for file in files_of_slot]
            self.outputs = [os.path.relpath(path, folder) for path in paths_of_result]
        elif event["event"] == "error":
            self.status, self.reason = "failed", event["message"]
        else:
            self.status = "cancelled"


def plan(task: str, source: Path, target: Path, patterns: dict[str, str]) -> list[Entry]:
    """An entry for every CT of `source`; its first output lies in `target` under the input's name.

    patterns: for the task's other files, by slot, paths with {name} in place of the input's name. InputError or
    UsageError if the batch as a whole cannot be; an entry that cannot be is `failed` from the start.
    """
    inputs = [slot for slot in TASKS[task].files if not slot.output]
    outputs = [slot for slot in TASKS[task].files if slot.output]
    for slot in outputs[1:]:
        if slot.name in patterns and NAME not in patterns[slot.name]:
            raise UsageError(f"{option(slot)} names one file for all results: put {NAME} into it.")
    other_folders = [Path(pattern).absolute().parent for pattern in patterns.values()]
    contents = scan_folder(source, {target.absolute(), *other_folders}, labels=inputs[0].kind == "labels")
    entries = []
    for name, paths in _by_result(contents.inputs, target).items():
        files = {slot: Path(pattern.replace(NAME, name)).absolute() for slot, pattern in patterns.items()}
        suffix = suffix_of(paths[0]) if paths[0].is_file() else ""
        files[inputs[0].name] = paths[0].absolute()
        files[outputs[0].name] = (target / f"{name}{'.mha' if suffix == '.mhd' else suffix or '.nii.gz'}").absolute()
        entry = Entry(name, files)
        if len(paths) > 1:
            same = " and ".join(path.name for path in paths)
            entry.status, entry.reason = "failed", f"{same} would give results of one name: rename one of them."
        entries.append(entry)
    entries += [Entry(name, {}, "left out", f"{reason}.") for name, reason in contents.left_out.items()]
    return entries


def _by_result(inputs: dict[str, list[Path]], target: Path) -> dict[str, list[Path]]:
    """The inputs that would write to the same result, by its name. On some disks names are the same that differ in case
    or in the way an accent is written.
    """
    if _is_case_sensitive(target):
        return inputs
    names: dict[str, str] = {}
    by_result: dict[str, list[Path]] = {}
    for name, paths in inputs.items():
        first = names.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        by_result.setdefault(first, []).extend(paths)
    return by_result


def _is_case_sensitive(folder: Path) -> bool:
    """Whether the file system of a folder distinguishes upper and lower case."""
    existing = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()), None)
    if existing is None or existing.name.swapcase() == existing.name:
        return True
    swapped = existing.with_name(existing.name.swapcase())
    return not (swapped.exists() and swapped.samefile(existing))


def option(slot: FileSlot) -> str:
    """The command line's option of a file of a task."""
    return f"--{slot.name.replace('_', '-')}"


class Batch:
    """A running batch: its entries, their table in `target`, and its progress."""

    def __init__(self, task: str, entries: list[Entry], target: Path):
        self.task, self.entries, self.target = task, entries, target
        self.table = target / STATUS
        self._by_name = {entry.name: entry for entry in entries}
        self._started = time.monotonic()
        self._parts: dict[str, float] = {}  # done shares of the running ones

    @property
    def count(self) -> Counter:
        """The number of entries with each status."""
        return Counter(entry.status for entry in self.entries)

    @property
    def size(self) -> int:
        """The number of inputs, without those left out."""
        return len(self.entries) - self.count["left out"]

    @property
    def fraction(self) -> float:
        """The fraction done of the whole batch, 0 … 1; running jobs count with their part."""
        ended = sum(entry.status != "waiting" for entry in self.entries)
        return (ended + sum(self._parts.values())) / len(self.entries)

    @property
    def running(self) -> dict[str, float]:
        """The fraction done, 0 … 1, of each running job, by name."""
        return dict(self._parts)

    @property
    def seconds_left(self) -> float | None:
        """The time left, from the pace of what was computed: entries that were done already or unreadable took none."""
        done = self.count["done"] + sum(self._parts.values())
        waiting = self.count["waiting"] - sum(self._parts.values())
        return (time.monotonic() - self._started) / done * waiting if done > 0 else None

    def requests(self, parameters: Parameters, common: CommonParameters) -> list[dict]:
        """The worker requests of all entries that have not failed already."""
        requests = []
        for entry in self.entries:
            values = parameters.to_dict() | common.to_dict()
            if isinstance(values.get("anatomy"), str) and values["anatomy"] not in ANATOMY_WORDS:
                values["anatomy"] = str(Path(values["anatomy"].replace(NAME, entry.name)).absolute())
            if values["model"] and Path(values["model"]).is_dir():
                values["model"] = str(Path(values["model"]).absolute())
            files = {slot: str(path) for slot, path in entry.files.items()}
            if entry.status == "waiting":
                head = {"request": "run", "id": entry.name, "task": self.task}
                requests.append(head | {"files": files, "parameters": values, "resume": True})
        return requests

    def run(
        self, parameters: Parameters, common: CommonParameters, runner: Runner, on_change: Callable[[Batch], None]
    ) -> None:
        """Run all jobs of the batch. Whatever stops this, the table says what was done, and no half-written file stays.

        on_change: takes this object whenever something changed. InputError if another batch is writing to the folder.
        """
        self._make_folders()
        lock = FileLock(self.target / ".batch.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(f"Another batch is writing to {self.target}: wait for it, or name another.") from None
        try:
            self._clean()
            self._write()
            with contextlib.closing(
                runner(self.requests(parameters, common), partial(self._on_event, on_change))
            ) as ends:
                for event in ends:
                    entry = self._by_name[event["id"]]
                    self._parts.pop(entry.name, None)
                    entry.end(event, self.target)
                    self._write()
                    on_change(self)
        finally:
            self._clean()
            self._write()
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def _on_event(self, on_change: Callable[[Batch], None], event: dict) -> None:
        """An event of a job that runs."""
        if event["event"] == "progress":
            self._parts[event["id"]] = event["fraction"]
            on_change(self)

    def _folders(self) -> set[Path]:
        """The folders that outputs go to."""
        outputs = [slot.name for slot in TASKS[self.task].files if slot.output]
        return {e.files[name].parent for e in self.entries for name in outputs if name in e.files} | {self.target}

    def _make_folders(self) -> None:
        for folder in self._folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{folder} cannot be made ({error.strerror}): name another folder.") from None

    def _clean(self) -> None:
        """Remove the hidden files that killed runs left."""
        for folder in self._folders():
            remove_partial_files(folder)

    def _write(self) -> None:
        """Write the status table, whole or not at all."""
        with whole_file(self.table) as part, part.open(**TABLE) as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for e in self.entries:
                rows.writerow([e.name, e.status, e.reason, e.seconds, " ".join(e.outputs), e.summary])


def check_patterns(task: str, patterns: dict[str, str]) -> None:
    """Check the patterns of a batch: UsageError if a file that the task needs, besides its first input and output, has
    none.
    """
    slots = TASKS[task].files
    first = {next(s.name for s in slots if not s.output), next(s.name for s in slots if s.output)}
    for slot in slots:
        if slot.name not in first and not slot.optional and slot.name not in patterns:
            folder = f"{slot.name}s/{NAME}.nii.gz"
            raise UsageError(f'{task} needs {option(slot)} for every CT: give a pattern like "{folder}".')
