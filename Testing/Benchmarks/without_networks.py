"""What a task costs besides its networks, as a script by hand: CPU-seconds and peak memory of a run on files in which
every network answers zeros, and how often it was asked.

    python Testing/Benchmarks/without_networks.py TASK SLOT=FILE … [--parameters JSON] [--common JSON]

The windows times the seconds of a window (`runtimes.py`) are the rest. To compare two versions, run it by turns with
the folder of each as PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from pathlib import Path

import torch

import MedDiffFMLib
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.models.loading import Model, load_model
from MedDiffFMLib.parameters import TASKS, CommonParameters


class Silent:
    """A network that answers zeros: windows (B, 1, Z, Y, X), or slices (n, C, Y, X)."""

    def __init__(self, network: torch.nn.Module, asked: Counter):
        self.config, self.asked = network.config, asked

    def __call__(self, image: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        self.asked[" × ".join(map(str, image.shape))] += 1
        return torch.zeros_like(image if image.ndim == 5 else image[:, 0], dtype=torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("files", nargs="+", metavar="SLOT=FILE", help="input=ct.nii.gz output=clean.nii.gz")
    parser.add_argument("--parameters", type=json.loads, default={}, help='of the task: {"quality": "fast"}')
    parser.add_argument("--common", type=json.loads, default={}, help='{"roi": "0,50,0,50,0,50"}')
    given = parser.parse_args()
    asked: Counter = Counter()
    Model.evaluator = lambda self, network, control=None: Silent(network, asked)
    model = load_model(precision="float32")
    files = {slot: Path(file) for slot, file in (pair.split("=", 1) for pair in given.files)}
    common = CommonParameters.from_dict({"overwrite": True, **given.common})
    began = time.process_time()
    run_job(given.task, files, TASKS[given.task].from_dict(given.parameters), common, load=lambda *a, **k: model)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{Path(MedDiffFMLib.__file__).parents[1]}: {given.task} {given.parameters} {given.common}")
    print(f"{time.process_time() - began:.2f} CPU-s, peak {peak:.0f} MiB, evaluations {dict(asked)}")


if __name__ == "__main__":
    main()
