"""A manifest to a store: in parallel, resumable, every row accounted for.

Workers prepare rows into a hidden folder of the store; this process alone takes them over, by renaming, so that the
store is whole at any moment. `rows/NAME.json` records what became of a row, and its sources and settings, and an
unchanged one is not done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from MedDiffFMLib.errors import InputError

from .manifest import AUTO, ManifestRow, read_manifest
from .parallel import run_rows
from .prepare import Outcome, Settings
from .quality import ScanQuality
from .report import write_report
from .split import SPLITS, assign_splits, patient_hash
from .store import remove_case

VERSION = 1  # of what `prepare` makes: another one does everything again
ROWS = "rows"


def prepare_manifest(
    manifest: Path,
    store: Path,
    settings: Settings,
    jobs: int = 1,
    scheduler: str | None = None,
    on_outcome: Callable[[Outcome, int, int], None] = lambda outcome, done, of: None,
) -> list[Outcome]:
    """Prepare every row of a manifest; returns what became of each, in the manifest's order.

    jobs: processes here; scheduler: address of a Dask cluster that sees the same files instead. on_outcome: is called
    with each outcome as it comes, how many are done, and of how many. Stopped at any moment (Ctrl-C), the store is
    whole and the same command goes on. InputError for a wrong manifest, split or cluster.
    """
    rows = read_manifest(manifest, settings.salt)
    splits = assign_splits(rows, settings.salt)
    _check_segmenter(rows)
    store = Path(store)
    with _locked(store) as stage:
        writer = StoreWriter(store, stage, rows, splits)
        writer.check_patients(settings.salt)
        sources = {row.name: fingerprint(row, splits[row.name], settings) for row in rows}
        done_before = [row.name for row in rows if writer.is_done(row.name, sources[row.name])]
        for done, name in enumerate(done_before, 1):
            on_outcome(writer.outcomes[name], done, len(rows))
        waiting = [(row, splits[row.name]) for row in rows if row.name not in set(done_before)]
        try:
            ends = run_rows(waiting, settings, stage, jobs, scheduler)
            with contextlib.closing(ends):
                for done, outcome in enumerate(ends, len(done_before) + 1):
                    outcome.sources = sources[outcome.name]
                    writer.commit(outcome)
                    on_outcome(outcome, done, len(rows))
        finally:
            record = {"spacing_mm": settings.spacing_mm or "own", "version": VERSION}
            write_report(store, writer.of_manifest(), record)
    return writer.of_manifest()


def fingerprint(row: ManifestRow, split: str, settings: Settings) -> str:
    """A hash of everything that a prepared row depends on: its files by size and time, its line, its split and the
    settings.
    """
    files = {column: _state(path) for column, path in row.files.items()}
    line = [row.patient, row.region, str(row.anatomy), row.lesion_labels, row.placed, split]
    record = [VERSION, settings.spacing_mm, settings.salt, files, {k: str(v) for k, v in row.files.items()}, line]
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode("utf-8")).hexdigest()


def _state(path: Path) -> list:
    try:
        parts = sorted(path.iterdir()) if path.is_dir() else [path]
        return [[part.name, part.stat().st_size, part.stat().st_mtime_ns] for part in parts]
    except OSError:
        return []


class StoreWriter:
    """The writer of a store: its outcomes by row, and the commit of cases that workers made; no CT is held twice."""

    def __init__(self, store: Path, stage: Path, rows: Sequence[ManifestRow], splits: dict[str, str]):
        self.store, self.stage, self.splits = store, stage, splits
        self.rows = {row.name: row for row in rows}
        self.outcomes = {outcome.name: outcome for outcome in _read_outcomes(store)}

    def check_patients(self, salt: str) -> None:
        """InputError if a patient of this manifest is in the store, from another manifest, on another side."""
        side = {patient_hash(row.patient, salt): row for row in self.rows.values()}
        for outcome in self.outcomes.values():
            row = side.get(outcome.patient)
            if row and outcome.name not in self.rows and outcome.cases and outcome.split != self.splits[row.name]:
                raise InputError(
                    f"{row.name} (line {row.line}, {self.splits[row.name]}) is the patient of {outcome.name}, which "
                    f"the store has in {outcome.split}: give them the same split, or start another store."
                )

    def is_done(self, name: str, sources: str) -> bool:
        """Whether a row was prepared from these sources, or from files that are gone; False if it was refused."""
        outcome, row = self.outcomes.get(name), self.rows[name]
        if outcome is None or outcome.status == "refused" or outcome.split != self.splits[name]:
            return False
        if outcome.sources != sources and row.path.exists():
            return False
        outcome.line = row.line
        return all((self.store / outcome.split / case / "case.json").exists() for case in outcome.cases)

    def commit(self, outcome: Outcome) -> None:
        """Move the cases of a new outcome into the store, in place of the row's earlier ones. Of two rows with the same
        voxels the one that is further from training is kept, or the earlier.
        """
        self._remove_cases(self.outcomes.get(outcome.name))
        twin = self._twin(outcome)
        if twin:
            kept, left_out = sorted((outcome, twin), key=self._rank)
            self._remove_cases(left_out if left_out is twin else None)
            left_out.refuse(f"It has the same voxels as {kept.name}, of which one is enough.")
            self._record(twin)
        for case in outcome.cases:
            target = self.store / outcome.split / case
            target.parent.mkdir(exist_ok=True)
            remove_case(target)
            os.replace(self.stage / outcome.split / case, target)
        self._record(outcome)

    def of_manifest(self) -> list[Outcome]:
        """The outcomes of the manifest's rows, in its order."""
        return sorted((o for o in self.outcomes.values() if o.name in self.rows), key=lambda o: o.line)

    def _twin(self, outcome: Outcome) -> Outcome | None:
        if outcome.status == "refused":
            return None
        others = (o for o in self.outcomes.values() if o.name != outcome.name and o.status != "refused")
        return next((o for o in others if o.content == outcome.content), None)

    def _rank(self, outcome: Outcome) -> tuple:
        return outcome.name not in self.rows, -SPLITS.index(outcome.split), outcome.line

    def _remove_cases(self, outcome: Outcome | None) -> None:
        for case in outcome.cases if outcome else ():
            remove_case(self.store / outcome.split / case)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes[outcome.name] = outcome
        part = self.store / ROWS / f".{outcome.name}.part"
        part.write_text(json.dumps(asdict(outcome), indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(part, self.store / ROWS / f"{outcome.name}.json")


def _read_outcomes(store: Path) -> Iterator[Outcome]:
    for path in sorted((store / ROWS).glob("[!.]*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        quality = ScanQuality(**record["quality"]) if record["quality"] else None
        yield Outcome(**record | {"quality": quality})


def _check_segmenter(rows: Sequence[ManifestRow]) -> None:
    """InputError if a row's anatomy is `auto` and TotalSegmentator cannot run here."""
    row = next((row for row in rows if row.anatomy == AUTO), None)
    if row is None:
        return
    from MedDiffFMLib.anatomy.segmenter import is_installed, modes_with_weights, weights_folder

    instead = "or name a label map, or none, in the manifest"
    if not is_installed():
        raise InputError(
            f"Line {row.line} has the anatomy auto, which needs TotalSegmentator: install it with "
            f"pip install 'meddiff-fm[anatomy]', {instead}."
        )
    if not modes_with_weights():
        raise InputError(
            f"Line {row.line} has the anatomy auto, and TotalSegmentator's weights are not in {weights_folder()}: run "
            f"totalseg_download_weights -t total, {instead}."
        )


@contextlib.contextmanager
def _locked(store: Path) -> Iterator[Path]:
    """The store's folder and a fresh hidden one in it for half-made cases, for one `prepare` at a time."""
    try:
        (store / ROWS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{store} cannot be made ({error.strerror}): name another folder.") from None
    lock = FileLock(store / ".prepare.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"Another prepare is writing to {store}: wait for it, or name another folder.") from None
    try:
        _sweep(store)
        stage = store / f".stage-{uuid.uuid4().hex[:8]}"
        stage.mkdir()
        yield stage
    finally:
        _sweep(store)
        lock.release()


def _sweep(store: Path) -> None:
    """Remove the unfinished files of stopped runs."""
    for part in (*store.glob(".stage-*"), *store.glob("*/.*.part")):
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
