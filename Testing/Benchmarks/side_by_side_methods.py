"""The methods that `side_by_side.py` compares, and how each is measured."""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from skimage.metrics import structural_similarity

from MedDiffFMLib.diffusion.samplers import ancestral
from MedDiffFMLib.models.loading import Model, load_model
from MedDiffFMLib.networks.unet import as_eps
from MedDiffFMLib.parameters import DenoiseParameters
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.tasks.denoise import denoise, plan
from MedDiffFMLib.tasks.denoise_region import RegionDenoiser
from MedDiffFMLib.volumes.intensity import to_hu
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.baselines.classical import SETTINGS, denoise_classically

CT = Path(__file__).parents[1] / "Data" / "chest_ts_aorta.nii.gz"
LOW, HIGH = -160.0, 240.0  # HU: the paper's window, in which methods work and are measured
STRENGTHS = (0.7, 1.0, 1.4)  # of what the classical methods were tuned to elsewhere
CLASSICAL = {"non-local means": "nlm", "BM3D": "bm3d", "total variation": "tv"}
METHODS = ("monai", "same steps", "balanced", "fast", *CLASSICAL)


class Result(NamedTuple):
    """HU (Z, Y, X), None where only a part of the steps was evaluated; windows of the network; what to multiply by."""

    hu: np.ndarray | None
    windows: int | None
    times: float = 1.0


def slab(size: Sequence[int]) -> np.ndarray:
    """The middle of the CT, HU (Z, Y, X), repeated to and fro where it is not large enough. Voxels count as 1 mm, so
    that no method resamples.
    """
    whole = read_volume(CT).voxels.astype(np.float32)
    short = [max(0, wanted - n) for wanted, n in zip(size, whole.shape, strict=True)]
    whole = np.pad(whole, [(0, n) for n in short], mode="symmetric")
    start = [(n - wanted) // 2 for n, wanted in zip(whole.shape, size, strict=True)]
    return whole[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))]


def measure(method: str, given: argparse.Namespace) -> dict:
    """The figures of a method: loading the model, and the first, discarded evaluation of a process, do not count."""
    torch.set_num_threads(given.threads)
    truth = slab(given.size)
    noisy = truth + np.random.default_rng(0).normal(0, given.sigma, truth.shape).astype(np.float32)
    run = prepare(method, noisy, truth, given)
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures = {"psnr_db": None, "ssim": None} if result.hu is None else quality(result.hu, truth)
    return {
        "method": method,
        "size": list(given.size),
        "threads": given.threads,
        "windows": result.windows,
        "steps_timed": given.timed_steps if result.times != 1 else None,
        "cpu_s": cpu * result.times,
        "wall_s": wall * result.times,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **figures,
    }


def quality(hu: np.ndarray, truth: np.ndarray) -> dict:
    """PSNR and SSIM (slice by slice) within the window."""
    found, expected = (np.clip(image, LOW, HIGH) for image in (hu, truth))
    psnr = 10 * math.log10((HIGH - LOW) ** 2 / float(np.mean((found - expected) ** 2)))
    ssim = [structural_similarity(a, b, data_range=HIGH - LOW) for a, b in zip(found, expected, strict=True)]
    return {"psnr_db": psnr, "ssim": float(np.mean(ssim))}


def prepare(method: str, noisy: np.ndarray, truth: np.ndarray, given: argparse.Namespace) -> Callable[[], Result]:
    """A method ready to run: what it needs is loaded, and compiled."""
    if method in CLASSICAL:
        return best_classical(CLASSICAL[method], noisy, truth, given.sigma)
    of_monai = method == "monai"
    precision, runtime = ("float32", "torch") if of_monai else ("auto", given.runtime)
    model = load_model("meddiff-fm-small", "cpu", precision, runtime)
    volume = Volume(noisy, (1.0, 1.0, 1.0))
    options = {"sigma": given.sigma, "region": "chest", "strength": "full"}
    if method in ("balanced", "fast"):
        denoise(volume, model, quality="fast", **options)
        return partial(by_quality, volume, model, method, options)
    parameters = DenoiseParameters.from_dict(options | {"quality": "paper"})
    (region,) = plan(volume, parameters, model, "none", Reporter(None)).regions
    eps = sliding_windows(region) if of_monai else region.eps
    eps(torch.from_numpy(region.scan.x), region.steps[0])
    return partial(ddpm_loop, region, eps, given.timed_steps)


def sliding_windows(region: RegionDenoiser) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """ε(x_t, t) of a volume as a user of MONAI writes it: image and conditions joined, its windows and their mean."""
    model, conditions = region.eps.model, region.eps.conditions
    position, anatomy = conditions.tile((0, 0, 0), region.scan.body.shape)
    codes, config = torch.cat([position, anatomy]), model.network.config

    @torch.inference_mode()
    def eps(x_t: torch.Tensor, t: int) -> torch.Tensor:
        def predict(window: torch.Tensor) -> torch.Tensor:
            eps.windows += len(window)
            x, place, organs = window.split([1, len(position), len(anatomy)], dim=1)
            times, regions = (torch.full((len(x),), value) for value in (t, conditions.region))
            output = model.network(x, times, place, organs, regions)
            return as_eps(output, x, float(model.schedule.alpha_bar[t]), config.prediction)

        joined = torch.cat([x_t[None], codes])[None]
        roi = [min(config.patch, n) for n in x_t.shape]
        return sliding_window_inference(joined, roi, sw_batch_size=1, predictor=predict)[0, 0]

    eps.windows = 0
    return eps


def ddpm_loop(region: RegionDenoiser, eps: Callable, timed: int | None) -> Result:
    """All timesteps from where the noise is the scan's down to 0 [paper eq. 11], or a few of them."""
    model, steps = region.eps.model, region.steps
    if timed and timed < len(steps):
        kept = [steps[round(i * (len(steps) - 1) / max(timed - 1, 1))] for i in range(timed)]
        times = len(steps) / len(kept)
    else:
        kept, times = steps, 1.0
    before = getattr(eps, "windows", 0)
    start = math.sqrt(model.schedule.alpha_bar[steps[0]]) * torch.from_numpy(region.scan.x)
    x0 = ancestral(eps, start, model.schedule, kept, generator=torch.Generator().manual_seed(0))
    per_run = eps.windows - before if hasattr(eps, "windows") else len(kept) * len(region.eps.active)
    hu = to_hu(x0.numpy(), region.scan.window) if times == 1 else None
    return Result(hu, round(per_run * times), times)


def by_quality(volume: Volume, model: Model, method: str, options: dict) -> Result:
    """`denoise` at a quality."""
    result = denoise(volume, model, quality=method, **options)
    return Result(result.volume.voxels, result.facts.network_evaluations)


def best_classical(tool: str, noisy: np.ndarray, truth: np.ndarray, sigma: float) -> Callable[[], Result]:
    """A classical method at the strength that is best for this slab, which favors it: nobody knows the truth."""
    image, scale = (np.clip(noisy, LOW, HIGH) - LOW) / (HIGH - LOW), sigma / (HIGH - LOW)

    def run(strength: float) -> Result:
        settings = {name: strength * value for name, value in SETTINGS[tool].items()}
        found = denoise_classically(tool, image.astype(np.float32), scale, settings)
        return Result(LOW + (HIGH - LOW) * found, None)

    return partial(run, max(STRENGTHS, key=lambda strength: quality(run(strength).hu, truth)["psnr_db"]))
