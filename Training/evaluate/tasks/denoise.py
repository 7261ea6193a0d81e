"""`meddiff-fm evaluate denoise`: the model beside classical tools on low dose, simulated or real (paper, Table V)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.parameters.denoise import FULL_STRENGTH
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
        before = quality(case.low.voxels, full, counted, window)
        log(f"{case.name}: {case.sigma_hu:.3g} HU, {before.psnr:.2f} dB, SSIM {before.ssim:.3f}")
        fixed = (case.name, case.region, trained_on(case.name))
        rows.append(DenoisingResult(*fixed, INPUT, case.sigma_hu, before, before, 0.0, counting.window, case.real))
        for method, run in methods.runs(case):
            started = time.perf_counter()
            hu, sigma = run()
            seconds = time.perf_counter() - started
            after = quality(hu, full, counted, window)
            row = DenoisingResult(*fixed, method, sigma, before, after, seconds, counting.window, case.real)
            rows.append(row)
            log(f"  {method}: {row.gain.psnr:+.2f} dB, {row.gain.ssim:+.3f}, {seconds:.0f} s")
    return report_of(rows, counting.whole_image, methods.elsewhere)


def _classical(tool: str, case: LowDoseCase) -> tuple[np.ndarray, float]:
    low, high = case.window
    image = denoise_classically(tool, to_unit(case.low.voxels, case.window), case.sigma_hu / (high - low))
    return image * (high - low) + low, case.sigma_hu


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
