"""What overlap of windows and orientations of the refiner gain over their time in `denoise`, as a script by hand.

    python Testing/Benchmarks/what_pays.py CT [CT …] [--size Z Y X] [--sigma HU]

The middle of each CT gets noise of that σ, as coarse as a usual kernel's, and is denoised by the steps of `fast` and
`balanced`; the gain in PSNR within the body is relative to the first row. Only volumes that settings may be chosen by
belong here: never a test patient's.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from MedDiffFMLib.models.loading import Model, load_model
from MedDiffFMLib.parameters import DenoiseParameters
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.tasks.denoise import plan
from MedDiffFMLib.tasks.denoise_region import RegionDenoiser
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.intensity import to_hu
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

OVERLAPS = (0.25, 0.125, 0.0)
ORIENTATIONS = (1, 2, 4, 8)
GRAIN = 0.6  # pixels: standard deviation of the blur of the noise in plane


def middle(volume: Volume, size: tuple[int, int, int]) -> Volume:
    """The middle of a volume, at most `size` voxels (z, y, x)."""
    start = [max(0, (n - wanted) // 2) for n, wanted in zip(volume.voxels.shape, size, strict=True)]
    where = tuple(slice(s, s + wanted) for s, wanted in zip(start, size, strict=True))
    return Volume(volume.voxels[where].astype(np.float32), volume.spacing, direction=volume.direction, in_hu=True)


def noise(shape: tuple[int, int, int], sigma: float) -> np.ndarray:
    """Noise of `sigma` HU, blurred in plane."""
    found = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), (0, GRAIN, GRAIN))
    return (found * (sigma / found.std())).astype(np.float32)


def rows(truth: Volume, sigma: float, model: Model) -> list[tuple[str, int, float, float]]:
    """For each choice its name, windows or orientations, CPU-seconds, and PSNR in dB (of 1000 HU)."""
    noisy = truth.with_voxels(truth.voxels + noise(truth.voxels.shape, sigma))
    params, reporter = DenoiseParameters(sigma=sigma, quality="fast", strength="full"), Reporter(None)
    found, nlm = [], None
    for overlap in OVERLAPS:
        region = plan(noisy, replace(params, overlap=overlap), model, "auto", reporter).regions[0]
        y, began = torch.from_numpy(region.scan.x), time.process_time()
        of_model = region._sample(y, 0, lambda i, t, x0: None)
        seconds = time.process_time() - began
        inputs = replace(nlm, of_model=of_model) if nlm else region.low_dose_inputs(y, of_model, reporter)
        nlm = nlm or inputs
        first = len(found) == 0
        for count in ORIENTATIONS if first else ORIENTATIONS[:1]:
            began = time.process_time()
            with torch.inference_mode():
                refined = inputs.apply_refiner(model.evaluator(region.refiner), count)
            own = time.process_time() - began
            body = torch.from_numpy(region.scan.body)
            x0 = inputs.restore_local_means(refined, body, region.scan.frame.spacing[1:])
            name = f"orientations {count}" if count > 1 else f"overlap {overlap:g}"
            cost = own if count > 1 else seconds
            found.append((name, len(region.eps.active), cost, psnr(region, truth, x0)))
    return found


def psnr(region: RegionDenoiser, truth: Volume, x0: torch.Tensor) -> float:
    """Of the merged result in the body, relative to 1000 HU."""
    scan = region.scan
    hu = region.merge_with_input(to_hu(x0.numpy(), scan.window))
    error = (hu - prepare(truth).hu)[scan.body]
    return float(10 * np.log10(1000**2 / np.mean(error.astype(np.float64) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", nargs="+", type=Path)
    parser.add_argument("--size", type=int, nargs=3, default=(44, 176, 176), metavar=("Z", "Y", "X"))
    parser.add_argument("--sigma", type=float, default=30.0, help="of the noise, in HU")
    given = parser.parse_args()
    model = load_model()
    for path in given.ct:
        print(f"\n{path.name}\n\n| | windows | CPU-s | gain in dB |\n|---|---|---|---|")
        found = rows(middle(read_volume(path), tuple(given.size)), given.sigma, model)
        for name, windows, seconds, db in found:
            print(f"| {name} | {windows} | {seconds:.2f} | {db - found[0][3]:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
