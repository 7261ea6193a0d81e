"""`meddiff-fm evaluate denoise`: the model beside classical tools on low dose, simulated or real (paper, Table V)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.tasks.denoise import denoise

from ..baselines.classical import NAMES, SETTINGS, denoise_classically
from ..cases.results import result_methods
from ..cases.volumes import PROTOCOL, LowDoseCase, starred, trained_on
from ..metrics.psnr_ssim import Counting, ImageQuality, quality, to_unit
from ..reports import paper
from ..reports.report import Metric, Report, ReportRow, with_means

INPUT = "input"
ALONE = "foundation model alone"
TIME = Metric("time / NLM", "down", 2)
METRICS = (paper.PSNR, paper.SSIM, *paper.DENOISING)


@dataclass(frozen=True)
class DenoisingResult:
    """The quality that one method reached on one case; sigma_hu is the noise that it was given or measured (None for a
    result from elsewhere), window the HU that were counted, None for the region's; real: no simulated dose.
    """

    case: str
    region: str
    trained_on: bool
    method: str
    sigma_hu: float | None
    before: ImageQuality
    after: ImageQuality
    seconds: float
    window: tuple[float, float] | None = None
    real: bool = False

    @property
    def gain(self) -> ImageQuality:
        return self.after - self.before


def evaluate_denoising(
    cases: Iterable[LowDoseCase],
    tools: Sequence[str],
    qualities: Sequence[str],
    model: Model | None = None,
    seed: int = 0,
    counting: Counting = Counting(),  # noqa: B008 - it cannot be changed
    results: Sequence[Path] = (),
    networks: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType({}),
    log: Callable[[str], None] = print,
) -> Report:
    """Measure every classical tool and the model in every quality on every case, on the same input; and the foundation
    model alone, as the paper has it, without non-local means and refiner.

    All are given the noise that was simulated, or measured in a real low dose; on simulated cases the model's `fast`
    also runs with the noise it measures itself. results: folders of images that other methods made. networks: baselines
    by name, HU to HU (Z, Y, X). `log` gets a line per run. `model` may be None if `qualities` is empty.
    """
    rows = []
    for case in cases:
        window, full = counting.window or case.window, case.full.voxels
        counted = np.ones(full.shape, bool) if counting.whole_image else body_mask(full)
        before = quality(case.low.voxels, full, counted, window)
        log(f"{case.name}: {case.sigma_hu:.3g} HU, {before.psnr:.2f} dB, SSIM {before.ssim:.3f}")
        fixed = (case.name, case.region, trained_on(case.name))
        rows.append(DenoisingResult(*fixed, INPUT, case.sigma_hu, before, before, 0.0, counting.window, case.real))
        elsewhere = [
            (name, lambda run=run: (run(), None)) for name, run in result_methods(results, case.name, case.full)
        ]
        trained = [(name, lambda net=net, case=case: (net(case.low.voxels), None)) for name, net in networks.items()]
        for method, run in elsewhere + trained + _methods(case, tools, qualities, model, seed):
            started = time.perf_counter()
            hu, sigma = run()
            seconds = time.perf_counter() - started
            after = quality(hu, full, counted, window)
            row = DenoisingResult(*fixed, method, sigma, before, after, seconds, counting.window, case.real)
            rows.append(row)
            log(f"  {method}: {row.gain.psnr:+.2f} dB, {row.gain.ssim:+.3f}, {seconds:.0f} s")
    return report_of(rows, counting.whole_image, [folder.resolve().name for folder in results])


def _methods(case: LowDoseCase, tools, qualities, model, seed: int) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives HU (Z, Y, X) and the noise assumed."""
    classical = [(NAMES[tool], lambda tool=tool: _classical(tool, case)) for tool in tools]
    model_runs = [(f"model, {q}", lambda q=q: _model(case, model, q, case.sigma_hu, seed)) for q in qualities]
    measures = "fast" in qualities and not case.real
    found = [("model, fast, σ auto", lambda: _model(case, model, "fast", "auto", seed))] if measures else []
    alone = [
        (f"{ALONE}, {q}", lambda q=q: _model(case, model, q, case.sigma_hu, seed, alone=True))
        for q in qualities
        if q != "paper"
    ]
    return classical + model_runs + found + alone


def _classical(tool: str, case: LowDoseCase) -> tuple[np.ndarray, float]:
    low, high = case.window
    image = denoise_classically(tool, to_unit(case.low.voxels, case.window), case.sigma_hu / (high - low))
    return image * (high - low) + low, case.sigma_hu


def _model(
    case: LowDoseCase, model: Model, quality_name: str, sigma: float | str, seed: int, alone: bool = False
) -> tuple[np.ndarray, float]:
    options = {"quality": quality_name, "region": case.region, "seed": seed, "alone": alone}
    result = denoise(case.low, model, case.anatomy, sigma=sigma, **options)
    return result.volume.voxels, result.sigma_hu


def report_of(rows: Sequence[DenoisingResult], whole_image: bool = False, elsewhere: Sequence[str] = ()) -> Report:
    """The rows as a table: a group a case, and their mean; time beside that of non-local means on the same case.

    whole_image: whether all voxels were counted; elsewhere: the methods that did not run here, whose time is not known.
    """
    reference = {row.case: row.seconds for row in rows if row.method == NAMES["nlm"]}
    lines = [ReportRow(_group(row), row.method, _values(row)) for row in rows]
    if reference:
        times = [row.seconds / reference[row.case] if row.method not in (INPUT, *elsewhere) else None for row in rows]
        lines = [replace(line, values=(*line.values, time)) for line, time in zip(lines, times, strict=True)]
    cases = [asdict(row) | {"gain": asdict(row.gain)} for row in rows]
    return Report(
        task="denoise",
        title=f"Denoising of {_dose(rows)} low dose, measured " + ("everywhere" if whole_image else "inside the body"),
        metrics=(*METRICS, TIME) if reference else METRICS,
        lines=with_means(lines),
        paper_table="Table V (Mayo 2016, a quarter of the dose)",
        paper=paper.TABLE_V,
        paper_metrics=paper.DENOISING,
        notes=_notes(rows, whole_image),
        facts={"classical_settings": SETTINGS},
        cases=cases,
    )


def _group(row: DenoisingResult) -> str:
    (low, high), sigma = PROTOCOL[row.region]
    low, high = row.window or (low, high)
    dose = "real low dose" if row.real else f"{sigma:g} HU"
    return f"{starred(row.case)}\n{row.region}, {dose}\nwindow {low:g} … {high:g} HU"


def _dose(rows: Sequence[DenoisingResult]) -> str:
    return "real" if all(row.real for row in rows) else "simulated"


def _values(row: DenoisingResult) -> tuple[float | None, ...]:
    gain = (None, None) if row.method == INPUT else (row.gain.psnr, row.gain.ssim)
    return (row.after.psnr, row.after.ssim, *gain)


def _notes(rows: Sequence[DenoisingResult], whole_image: bool) -> list[str]:
    simulated = "Low dose is simulated (photon noise in the sinogram, filtered back-projection); the paper's is real. "
    where = "all voxels" if whole_image else "the body's voxels"
    notes = [
        ("" if _dose(rows) == "real" else simulated) + "Full dose, the reference, is noisy itself.",
        f"PSNR over {where}, SSIM (Gaussian 11, σ 1.5) of axial slices averaged over the same; the window is the data "
        "range. Time, if any, is beside 3D non-local means on the same computer.",
    ]
    if any(row.trained_on for row in rows):
        notes.append("* a volume that the bundled model was trained on.")
    return notes
