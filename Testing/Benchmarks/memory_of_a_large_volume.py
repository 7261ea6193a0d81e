"""Peak memory and answer to a cancel for a 512 × 512 × 300 volume (fast), as a script to run by hand.

    python Testing/Benchmarks/memory_of_a_large_volume.py [--task NAME] [--cancel-after SECONDS] [--model NAME|DIR]

The volume is the repository's real chest CT, resampled to that size: that of `denoise`'s input, or, of 60 thick slices,
of `super-resolve`'s result. With `--cancel-after` it is asked to
stop then, and the time to the answer is printed.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from MedDiffFMLib.errors import Cancelled
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.progress import Progress
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.volumes.volume import Volume

CT = Path(__file__).parents[1] / "Data" / "chest_ts_aorta.nii.gz"


def large_volume(size: tuple[int, int, int] = (512, 512, 300)) -> Volume:
    """The real CT stretched to `size` (x, y, z) voxels."""
    image = sitk.ReadImage(str(CT))
    spacing = [n * s / m for n, s, m in zip(image.GetSize(), image.GetSpacing(), size, strict=True)]
    where = (image.GetOrigin(), spacing, image.GetDirection())
    return Volume.from_sitk(sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, *where, -1000), "large")


def peak_gib() -> float:
    """The most memory this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=("denoise", "super-resolve"), default="denoise")
    parser.add_argument("--cancel-after", type=float, help="seconds after which to ask for a stop")
    parser.add_argument("--model", help="name or folder (default: the bundled one)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")
    arguments = parser.parse_args()
    model, thin = load_model(arguments.model, arguments.device), arguments.task == "super-resolve"
    volume = large_volume((512, 512, 60 if thin else 300))
    print(f"before the run: {peak_gib():.2f} GiB")
    asked: list[float] = []

    def progress(p: Progress) -> None:
        if p.window and p.window % 50 == 0:
            print(f"window {p.window} of {p.windows}: {peak_gib():.2f} GiB", flush=True)
        if asked:
            raise Cancelled

    if arguments.cancel_after:
        threading.Timer(arguments.cancel_after, lambda: asked.append(time.perf_counter())).start()
    began = time.perf_counter()
    try:
        run = partial(super_resolve, factor=5) if thin else partial(denoise, sigma=30)
        print(run(volume, model, quality="fast", progress=progress).facts)
    except Cancelled:
        print(f"cancelled, ended {time.perf_counter() - asked[0]:.2f} s after it was asked")
    print(f"{time.perf_counter() - began:.0f} s, peak {peak_gib():.2f} GiB")


if __name__ == "__main__":
    main()
