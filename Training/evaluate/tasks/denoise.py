"""`meddiff-fm evaluate denoise`: the model beside classical tools on one simulated low-dose CT (paper, Table V)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.tasks.denoise import denoise

from ..baselines.classical import NAMES, SETTINGS, denoise_classically
from ..cases.volumes import PROTOCOL, LowDoseCase, starred, trained_on
from ..metrics.psnr_ssim import Quality, quality, to_unit
from ..reports import paper
from ..reports.report import Line, Metric, Report, with_means

INPUT = "input"
ALONE = "foundation model alone"
TIME = Metric("time / NLM", "down", 2)
METRICS = (paper.PSNR, paper.SSIM, *paper.DENOISING)


@dataclass(frozen=True)
class DenoisingResult:
    """The quality that one method reached on one case; sigma_hu is the noise that it was told or measured."""

    case: str
    region: str
    trained_on: bool
    method: str
    sigma_hu: float
    before: Quality
    after: Quality
    seconds: float

    @property
    def gain(self) -> Quality:
        return self.after - self.before


def evaluate_denoising(
    cases: Iterable[LowDoseCase],
    tools: Sequence[str],
    qualities: Sequence[str],
    model: Model | None = None,
    seed: int = 0,
    log: Callable[[str], None] = print,
) -> Report:
    """Measure every classical tool and the model in every quality on every case, on the same input; and the foundation
    model alone, as the paper has it, without non-local means and refiner.

    All are told the noise that was simulated; the model's `fast` runs once more and measures it. `log` gets a line per
    run. `model` may be None if `qualities` is empty.
    """
    rows = []
    for case in cases:
        body = body_mask(case.full.voxels)
        before = quality(case.low.voxels, case.full.voxels, body, case.window)
        log(f"{case.name}: {case.sigma_hu:g} HU, {before.psnr:.2f} dB, SSIM {before.ssim:.3f}")
        rows.append(_row(case, INPUT, case.sigma_hu, before, before, 0.0))
        for method, run in _methods(case, tools, qualities, model, seed):
            started = time.perf_counter()
            hu, sigma = run()
            seconds = time.perf_counter() - started
            row = _row(case, method, sigma, before, quality(hu, case.full.voxels, body, case.window), seconds)
            rows.append(row)
            log(f"  {method}: {row.gain.psnr:+.2f} dB, {row.gain.ssim:+.3f}, {seconds:.0f} s")
    return report_of(rows)


def _row(
    case: LowDoseCase, method: str, sigma: float, before: Quality, after: Quality, seconds: float
) -> DenoisingResult:
    return DenoisingResult(case.name, case.region, trained_on(case.name), method, sigma, before, after, seconds)


def _methods(case: LowDoseCase, tools, qualities, model, seed: int) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives HU (Z, Y, X) and the noise assumed."""
    classical = [(NAMES[tool], lambda tool=tool: _classical(tool, case)) for tool in tools]
    told = [(f"model, {q}", lambda q=q: _model(case, model, q, case.sigma_hu, seed)) for q in qualities]
    found = [("model, fast, σ auto", lambda: _model(case, model, "fast", "auto", seed))] if "fast" in qualities else []
    alone = [
        (f"{ALONE}, {q}", lambda q=q: _model(case, model, q, case.sigma_hu, seed, alone=True))
        for q in qualities
        if q != "paper"
    ]
    return classical + told + found + alone


def _classical(tool: str, case: LowDoseCase) -> tuple[np.ndarray, float]:
    low, high = case.window
    image = denoise_classically(tool, to_unit(case.low.voxels, case.window), case.sigma_hu / (high - low))
    return image * (high - low) + low, case.sigma_hu


def _model(
    case: LowDoseCase, model: Model, quality_name: str, sigma: float | str, seed: int, alone: bool = False
) -> tuple[np.ndarray, float]:
    options = {"quality": quality_name, "region": case.region, "seed": seed, "alone": alone}
    result = denoise(case.low, model, sigma=sigma, **options)
    return result.volume.voxels, result.sigma_hu


def report_of(rows: Sequence[DenoisingResult]) -> Report:
    """The rows as a table: a group a case, and their mean; time beside that of non-local means on the same case."""
    reference = {row.case: row.seconds for row in rows if row.method == NAMES["nlm"]}
    lines = [Line(_group(row), row.method, _values(row)) for row in rows]
    if reference:
        times = [row.seconds / reference[row.case] if row.method != INPUT else None for row in rows]
        lines = [replace(line, values=(*line.values, time)) for line, time in zip(lines, times, strict=True)]
    cases = [asdict(row) | {"gain": asdict(row.gain)} for row in rows]
    return Report(
        task="denoise",
        title="Denoising of simulated low dose, measured inside the body",
        metrics=(*METRICS, TIME) if reference else METRICS,
        lines=with_means(lines),
        paper_table="Table V (Mayo 2016, a quarter of the dose)",
        paper=paper.TABLE_V,
        paper_metrics=paper.DENOISING,
        notes=_notes(rows),
        facts={"classical_settings": SETTINGS},
        cases=cases,
    )


def _group(row: DenoisingResult) -> str:
    (low, high), sigma = PROTOCOL[row.region]
    return f"{starred(row.case)}\n{row.region}, {sigma:g} HU\nwindow {low:g} … {high:g} HU"


def _values(row: DenoisingResult) -> tuple[float | None, ...]:
    gain = (None, None) if row.method == INPUT else (row.gain.psnr, row.gain.ssim)
    return (row.after.psnr, row.after.ssim, *gain)


def _notes(rows: Sequence[DenoisingResult]) -> list[str]:
    notes = [
        "Low dose is simulated (photon noise in the sinogram, filtered back-projection); the paper's is real. "
        "Full dose, the reference, is noisy itself.",
        "PSNR over the body's voxels, SSIM (Gaussian 11, σ 1.5) of axial slices averaged over the body; the window is "
        "the data range. Time, if any, is beside 3D non-local means on the same computer.",
    ]
    if any(row.trained_on for row in rows):
        notes.append("* a volume that the bundled model was trained on.")
    return notes
