"""Preparation of rows: one after the other, in processes of this computer, or on a Dask cluster that sees the same
files.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from MedDiffFMLib.batch.dask import connect
from MedDiffFMLib.errors import DiskFullError, InputError

from .manifest import ManifestRow
from .prepare import Outcome, Settings, prepare_row
from .split import patient_hash

Work = tuple[ManifestRow, str]  # a row and its split


def run_rows(
    work: Sequence[Work], settings: Settings, stage: Path, jobs: int = 1, scheduler: str | None = None
) -> Iterator[Outcome]:
    """Outcomes in the order in which rows are done; their cases lie in `stage`. Closing the generator stops the rest.

    A process that dies (out of memory) costs its row alone.
    """
    if not work:
        return
    if scheduler is None and jobs == 1:
        yield from (prepare_row(row, split, settings, stage) for row, split in work)
        return
    with _client(min(jobs, len(work)), scheduler) as client:
        from distributed import as_completed  # there is one: `_client` has looked

        task = partial(_on_worker, settings=settings, stage=Path(stage).absolute())
        futures = {client.submit(task, one, pure=False, retries=0): one for one in work}
        try:
            for future in as_completed(futures, loop=client.loop):
                yield _end_of(future, futures[future], settings)
        finally:
            client.cancel([future for future in futures if not future.done()])


def _on_worker(work: Work, settings: Settings, stage: Path) -> Outcome:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # the rows are parallel already
    return prepare_row(*work, settings, stage)


def _end_of(future, work: Work, settings: Settings) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, DiskFullError):
        raise error
    row, split = work
    outcome = Outcome(row.name, row.line, split, patient_hash(row.patient, settings.salt))
    outcome.refuse(f"The process that prepared it died ({type(error).__name__}), perhaps for want of memory.")
    return outcome


@contextlib.contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator:
    """A Dask client of `jobs` processes here, or of the cluster. InputError without Dask or a cluster."""
    if scheduler is not None:
        with connect(scheduler) as client:
            yield client
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError("--jobs needs Dask: pip install 'meddiff-fm[batch]'.") from None
    local = {"n_workers": jobs, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # silence_logs misses the command line's handler
    with LocalCluster(**local, silence_logs=logging.CRITICAL) as cluster, Client(cluster) as client:
        yield client
