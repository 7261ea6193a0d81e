"""The results of `meddiff-fm evaluate denoise` and their table: means over noise seeds, intervals, and how far a noisy
reference lets a result go.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from ..baselines.classical import NAMES, SETTINGS
from ..cases.volumes import PROTOCOL, Dose, starred
from ..metrics.intervals import gain_draws, interval
from ..metrics.psnr_ssim import ImageQuality, SliceSums
from ..reports import paper
from ..reports.report import Metric, Report, ReportRow, Values, with_means

INPUT = "input"
TIME = Metric("time / NLM", "down", 2)
INTERVAL = (Metric("95 % from", "", 2, signed=True), Metric("95 % to", "", 2, signed=True))
CEILING = Metric("ceiling (dB)", "", 2)
METRICS = (paper.PSNR, paper.SSIM, *paper.DENOISING)


@dataclass(frozen=True)
class DenoisingResult:
    """The quality that one method reached on one case with one noise; sigma_hu is the noise that it was given or
    measured (None for a result from elsewhere), window the HU that were counted, None for the region's; dose: None for
    a real one. sums: the image before and after, slice by slice; own_hu: the reference's noise, of the input alone.
    """

    case: str
    region: str
    trained_on: bool
    method: str
    sigma_hu: float | None
    before: ImageQuality
    after: ImageQuality
    seconds: float = 0.0
    window: tuple[float, float] | None = None
    dose: Dose | None = field(default_factory=Dose)
    sums: tuple[SliceSums, SliceSums] | None = None
    own_hu: float | None = None

    @property
    def gain(self) -> ImageQuality:
        return self.after - self.before

    @property
    def counted(self) -> tuple[float, float]:
        """The HU window that was counted."""
        return self.window or PROTOCOL[self.region][0]

    @property
    def ceiling(self) -> float | None:
        """The best PSNR in dB against a reference whose own noise, σ₀, nothing can foretell: its error is σ₀ in real
        low dose. Simulated noise σ₁ is added to the same σ₀, of which the best estimate keeps a share, and errs by
        σ₀σ₁/√(σ₀² + σ₁²) (one spectrum for both). None where σ₀ is not known.
        """
        if not self.own_hu:
            return None
        error = self.own_hu if self.dose is None else 1 / math.hypot(1 / self.own_hu, 1 / self.sigma_hu)
        low, high = self.counted
        return 20 * math.log10((high - low) / error)

    @property
    def group(self) -> str:
        """The case, its dose whatever the seed, and the window, in three lines."""
        dose, (low, high) = self.dose, self.counted
        of = f"{dose.sigma_in(self.region):g} HU, {dose.simulator}, {dose.kernel}" if dose else "real low dose"
        return f"{starred(self.case)}\n{self.region}, {of}\nwindow {low:g} … {high:g} HU"

    def record(self) -> dict[str, object]:
        """The result as it goes into the JSON."""
        plain = asdict(replace(self, sums=None))
        del plain["sums"]
        return plain | {"gain": asdict(self.gain), "real": self.dose is None}


def report_of(rows: Sequence[DenoisingResult], whole_image: bool = False, elsewhere: Sequence[str] = ()) -> Report:
    """The rows as a table: a group a case and dose, and their mean; time beside that of non-local means on the same
    input. Several seeds of one dose are averaged, and their gain has an interval.

    whole_image: whether all voxels were counted; elsewhere: the methods that did not run here, whose time is not known.
    """
    reference = {(row.case, row.dose): row.seconds for row in rows if row.method == NAMES["nlm"]}
    untimed = (INPUT, *elsewhere)
    together: dict[tuple[str, str], list[DenoisingResult]] = {}
    for row in rows:
        together.setdefault((row.group, row.method), []).append(row)
    draws = {key: _draws(same) for key, same in together.items() if same[0].sums and key[1] != INPUT}
    extra = [*(INTERVAL if draws else ()), *([CEILING] if any(row.ceiling for row in rows) else [])]
    lines = []
    for key, same in together.items():
        values = [*_values(same), *(_ends(draws.get(key)) if draws else ())]
        values += [same[0].ceiling] if CEILING in extra else []
        if reference:
            times = [row.seconds / reference[row.case, row.dose] for row in same if row.method not in untimed]
            values.append(sum(times) / len(times) if times else None)
        lines.append(ReportRow(*key, tuple(values)))
    return Report(
        task="denoise",
        title=f"Denoising of {_dose(rows)} low dose, measured " + ("everywhere" if whole_image else "inside the body"),
        metrics=(*METRICS, *extra, *([TIME] if reference else [])),
        lines=_with_intervals(with_means(lines), draws),
        paper_table="Table V (Mayo 2016, a quarter of the dose)",
        paper=paper.TABLE_V,
        paper_metrics=paper.DENOISING,
        notes=_notes(rows, whole_image),
        facts={"classical_settings": SETTINGS, "intervals": _intervals(draws)},
        cases=[row.record() for row in rows],
    )


def _draws(same: Sequence[DenoisingResult]) -> ImageQuality:
    """The gains of resampled slices; those of a case are drawn alike whatever the dose and the method."""
    return gain_draws([row.sums for row in same], seed=zlib.crc32(same[0].case.encode()))


def _values(same: Sequence[DenoisingResult]) -> Values:
    """PSNR and SSIM, and how much they gained, in the mean over seeds."""
    after = (np.mean([getattr(row.after, name) for row in same]) for name in ("psnr", "ssim"))
    gains = (np.mean([getattr(row.gain, name) for row in same]) for name in ("psnr", "ssim"))
    return (*map(float, after), *((None, None) if same[0].method == INPUT else map(float, gains)))


def _ends(draws: ImageQuality | None) -> Values:
    return (None, None) if draws is None else interval(draws.psnr)


def _with_intervals(lines: Sequence[ReportRow], draws: dict[tuple[str, str], ImageQuality]) -> list[ReportRow]:
    """The lines with the intervals of the means: those of the mean gain, not the mean of the ends."""
    made, groups, first = [], {group for group, _ in draws}, len(METRICS)
    for line in lines:
        if draws and line.group.startswith("mean") and line.group not in groups and line.method != INPUT:
            ends = interval(np.mean([d.psnr for (_, method), d in draws.items() if method == line.method], axis=0))
            line = replace(line, values=(*line.values[:first], *ends, *line.values[first + 2 :]))
        made.append(line)
    return made


def _intervals(draws: dict[tuple[str, str], ImageQuality]) -> list[dict[str, object]]:
    """The intervals of both gains, for the JSON."""
    return [
        {
            "group": group.replace("\n", ", "),
            "method": method,
            "psnr_gain": interval(gains.psnr),
            "ssim_gain": interval(gains.ssim),
        }
        for (group, method), gains in draws.items()
    ]


def _dose(rows: Sequence[DenoisingResult]) -> str:
    return "real" if all(row.dose is None for row in rows) else "simulated"


def _notes(rows: Sequence[DenoisingResult], whole_image: bool) -> list[str]:
    simulated = "Low dose is simulated (photon noise in the sinogram, filtered back-projection); the paper's is real. "
    where = "all voxels" if whole_image else "the body's voxels"
    notes = [
        ("" if _dose(rows) == "real" else simulated) + "Full dose, the reference, is noisy itself: the ceiling is "
        "the best PSNR against noise as in its soft tissue, and where it is low, keeping noise is rewarded.",
        f"PSNR over {where}, SSIM (Gaussian 11, σ 1.5) of axial slices averaged over the same; the window is the data "
        "range. Time, if any, is beside 3D non-local means on the same computer.",
        "95 %: bootstrap over the slices of the PSNR gain; of other patients it says nothing.",
    ]
    if any(row.dose and row.dose.simulator == "parallel" for row in rows):
        notes.append(
            "The simulator `parallel` also makes the noise that refiners are trained on; `fan` trains nothing."
        )
    if any(row.trained_on for row in rows):
        notes.append("* a volume that the bundled model was trained on.")
    return notes
