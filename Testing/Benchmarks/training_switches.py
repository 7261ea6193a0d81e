"""What the switches of a training run cost or gain: the time of an update beside the plain one's, on this machine.

    python Testing/Benchmarks/training_switches.py STORE [--device cuda] [--patch 32] [--rounds 3] [--compile]

Plain and switched updates take turns, and the median of the ratios is printed, so that other work on the machine does
not favor either. `compile` is left out unless asked for: it takes minutes to begin.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.store import open_store
from MedDiffFMTraining.learn.batches import StepBatches
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.trainer import Trainer

SWITCHES = {
    "bfloat16": {"precision": "bfloat16"},
    "channels-last": {"channels_last": True},
    "bfloat16 + channels-last": {"precision": "bfloat16", "channels_last": True},
    "EMA, clipping, min-SNR": {"ema": 0.999, "clip_norm": 1.0, "min_snr": 5.0},
    "compile": {"compile": True},
}


def seconds(trainer: Trainer, batches: list) -> float:
    """Of one update; its losses are brought to the CPU, so that a GPU has finished."""
    began = time.perf_counter()
    trainer.update(batches)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    config = PretrainConfig(crops=CropConfig(patch=(args.patch,) * 3), accumulate=1)
    cases = open_store(args.store, "train")
    plain = Trainer(config, cases, Path("unused"), args.device)
    batches = StepBatches(cases, config, plain.schedule)[0]
    seconds(plain, batches)
    for name, switches in SWITCHES.items():
        if name == "compile" and not args.compile:
            continue
        other = Trainer(replace(config, **switches), cases, Path("unused"), args.device)
        first = seconds(other, batches)
        ratios = [seconds(other, batches) / seconds(plain, batches) for _ in range(args.rounds)]
        print(f"{name:26} {median(ratios):.2f} of the plain update's time (the first took {first:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
