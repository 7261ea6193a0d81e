"""How fast random crops are read from a training store (HU, labels and lesions), beside decompressing whole volumes.

    python Testing/Benchmarks/store_reading.py STORE [--crop 128] [--seconds 10] [--processes 2]

Files are in the computer's page cache after the first crops: this measures decompression and copying, not the disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path

import numpy as np

from MedDiffFMTraining.data.boxes import read_box
from MedDiffFMTraining.data.store import Case, open_store

WHOLE_ONES = 5  # volumes that each process decompresses


def read_crop(case: Case, rng: np.random.Generator, size: int) -> None:
    """A crop of size³ around a random place of the body, inside the volume where it fits."""
    center = [int(rng.integers(low, high)) for low, high in case.body_box]
    start = [
        int(np.clip(c - size // 2, min(0, n - size), max(0, n - size)))
        for c, n in zip(center, case.hu.shape, strict=True)
    ]
    read_box(case.hu, start, [size] * 3, case.geometry.air_hu)
    read_box(case.labels, start, [size] * 3, 0)
    if case.lesion is not None:
        read_box(case.lesion, start, [size] * 3, False)


def read_whole(case: Case) -> None:
    """All that is stored of a case."""
    for array in (case.hu, case.labels, case.lesion):
        if array is not None:
            array.box()


def rates(job: tuple[Path, int, float, int]) -> tuple[float, float, float]:
    """Crops a second, crops a second of processor time, and whole volumes a second of it, in this process."""
    store, size, seconds, seed = job
    cases, rng = open_store(store, "train"), np.random.default_rng(seed)
    for case in cases:
        read_crop(case, rng, size)
    count, started, busy = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        read_crop(cases[rng.integers(len(cases))], rng, size)
        count += 1
    crops, of_processor = count / (time.perf_counter() - started), count / (time.process_time() - busy)
    busy = time.process_time()
    for _ in range(WHOLE_ONES):
        read_whole(cases[rng.integers(len(cases))])
    return crops, of_processor, WHOLE_ONES / (time.process_time() - busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    jobs = [(options.store, options.crop, options.seconds, seed) for seed in range(options.processes)]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        crops, of_processor, wholes = map(sum, zip(*pool.map(rates, jobs), strict=True))
    cases = open_store(options.store, "train")
    voxels = np.mean([np.prod(case.hu.box().shape) for case in cases])
    print(f"{len(cases)} cases, {voxels / 1e6:.1f} million voxels on average; {options.processes} processes")
    print(f"crops of {options.crop}³ (HU, labels, lesion): {crops:.1f} a second")
    print(f"if nothing else ran (by processor time): {of_processor:.1f} a second; whole volumes {wholes:.1f}, ", end="")
    print(f"{of_processor / wholes:.1f} times slower than a crop")


if __name__ == "__main__":
    main()
