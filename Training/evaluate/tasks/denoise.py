"""`meddiff-fm evaluate denoise`: the model beside classical tools on low dose, simulated or real (paper, Table V)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.parameters.denoise import FULL_STRENGTH
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.volumes.noise_level import estimate_noise

from ..baselines.classical import NAMES, denoise_classically
from ..cases.results import result_methods
from ..cases.volumes import LowDoseCase, trained_on
from ..metrics.psnr_ssim import Counting, slice_sums, to_unit
from ..reports.report import Report
from .denoise_report import INPUT, DenoisingResult, report_of

ALONE = "foundation model alone"

Run = Callable[[], tuple[np.ndarray, float | None]]  # HU (Z, Y, X), and the noise assumed, None if none was given


@dataclass(frozen=True)
class DenoisingMethods:
    """The methods to compare: classical tools, the model in some qualities, baselines, and images from elsewhere.

    model: None only without qualities. networks: trained baselines by name, HU to HU (Z, Y, X). results: folders of
    images that other methods made.
    """

    tools: Sequence[str] = ()
    qualities: Sequence[str] = ()
    model: Model | None = None
    seed: int = 0
    networks: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    results: Sequence[Path] = ()

    @property
    def elsewhere(self) -> list[str]:
        """The names of the methods that do not run here."""
        return [folder.resolve().name for folder in self.results]

    def runs(self, case: LowDoseCase) -> list[tuple[str, Run]]:
        """The name and the run of every method on a case; the foundation model also alone, as the paper has it. All
        are given the case's noise, and on simulated cases the model's `fast` also measures it itself.
        """
        images = result_methods(self.results, case.name, case.full)
        measured = ["fast"] if "fast" in self.qualities and not case.real else []
        run = partial(partial, self._model, case)
        return [
            *((name, lambda read=read: (read(), None)) for name, read in images),
            *((name, lambda net=net: (net(case.low.voxels), None)) for name, net in self.networks.items()),
            *((NAMES[tool], partial(_classical, tool, case)) for tool in self.tools),
            *((f"model, {q}", run(q, case.sigma_hu)) for q in self.qualities),
            *((f"model, {q}, σ auto", run(q, "auto")) for q in measured),
            *((f"{ALONE}, {q}", run(q, case.sigma_hu, alone=True)) for q in self.qualities if q != "paper"),
        ]

    def _model(
        self, case: LowDoseCase, quality_name: str, sigma: float | str, alone: bool = False
    ) -> tuple[np.ndarray, float]:
        options = {"quality": quality_name, "region": case.region, "seed": self.seed, "alone": alone}
        result = denoise(case.low, self.model, case.anatomy, sigma=sigma, strength=FULL_STRENGTH, **options)
        return result.volume.voxels, result.sigma_hu


def evaluate_denoising(
    cases: Iterable[LowDoseCase],
    methods: DenoisingMethods,
    counting: Counting = Counting(),  # noqa: B008 - it cannot be changed
    log: Callable[[str], None] = print,
) -> Report:
    """The report of every method on every case, on the same input. `log` gets a line per run."""
    rows = []
    for case in cases:
        window, full = counting.window or case.window, case.full.voxels
        counted = np.ones(full.shape, bool) if counting.whole_image else body_mask(full)
        before = slice_sums(case.low.voxels, full, counted, window)
        result = partial(DenoisingResult, case.name, case.region, trained_on(case.name), before=before.quality())
        result = partial(result, window=counting.window, dose=None if case.real else case.dose)
        own = estimate_noise(full, body_mask(full), case.full.spacing[::-1])
        rows.append(result(INPUT, case.sigma_hu, after=before.quality(), sums=(before, before), own_hu=own))
        log(f"{case.name}: {case.sigma_hu:.3g} HU, {rows[-1].before.psnr:.2f} dB, SSIM {rows[-1].before.ssim:.3f}")
        for method, run in methods.runs(case):
            started = time.perf_counter()
            hu, sigma = run()
            seconds = time.perf_counter() - started
            after = slice_sums(hu, full, counted, window)
            row = result(method, sigma, after=after.quality(), sums=(before, after), seconds=seconds)
            rows.append(row)
            log(f"  {method}: {row.gain.psnr:+.2f} dB, {row.gain.ssim:+.3f}, {seconds:.0f} s")
    return report_of(rows, counting.whole_image, methods.elsewhere)


def _classical(tool: str, case: LowDoseCase) -> tuple[np.ndarray, float]:
    low, high = case.window
    image = denoise_classically(tool, to_unit(case.low.voxels, case.window), case.sigma_hu / (high - low))
    return image * (high - low) + low, case.sigma_hu
