"""`meddiff-fm evaluate denoise`: the model beside classical tools on the same simulated low-dose CT."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from MedDiffFMLib.anatomy import body_mask
from MedDiffFMLib.tasks.denoise import denoise

from .cases import TRAINED_ON, Case
from .classical import NAMES, SETTINGS, denoise_classically
from .metrics import Quality, quality, to_unit

# PSNR (dB) and SSIM gains of the paper's Table V
PAPER = {
    "RED-CNN": (4.55, 0.051),
    "CTformer": (4.66, 0.052),
    "NLM": (2.44, 0.032),
    "BM3D": (2.73, 0.033),
    "Noise2Sim": (4.22, 0.050),
    "Dn-Dp": (4.40, 0.049),
    "MedDiff-FM": (4.19, 0.059),
}


@dataclass(frozen=True)
class Row:
    """What one method made of one case. `gain` is `after` − `before`; sigma_hu is the noise it was told or found."""

    case: str
    region: str
    trained_on: bool
    method: str
    sigma_hu: float
    before: Quality
    after: Quality
    gain: Quality
    seconds: float


def compare(
    cases: Sequence[Case], tools: Sequence[str], qualities: Sequence[str], model=None, seed: int = 0, report=print
) -> list[Row]:
    """Every classical tool and the model in every quality on every case, on the same input.

    All are told the noise that was simulated; the model's `fast` runs once more and measures it. `report` gets a
    line per run. `model` may be None if `qualities` is empty.
    """
    rows = []
    for case in cases:
        body = body_mask(case.full.voxels)
        before = quality(case.low.voxels, case.full.voxels, body, case.window)
        report(f"{case.name}: {case.sigma_hu:g} HU, {before.psnr:.2f} dB, SSIM {before.ssim:.3f}")
        for method, run in _methods(case, tools, qualities, model, seed):
            started = time.perf_counter()
            hu, sigma = run()
            seconds = time.perf_counter() - started
            after = quality(hu, case.full.voxels, body, case.window)
            seen = case.name in TRAINED_ON
            gain = after - before
            rows.append(Row(case.name, case.region, seen, method, sigma, before, after, gain, seconds))
            report(f"  {method}: {gain.psnr:+.2f} dB, {gain.ssim:+.3f}, {seconds:.0f} s")
    return rows


def _methods(case: Case, tools, qualities, model, seed: int) -> list[tuple[str, Callable]]:
    """(name, run) of every method; run() gives HU (Z, Y, X) and the noise assumed."""
    classical = [(NAMES[tool], lambda tool=tool: _classical(tool, case)) for tool in tools]
    told = [(f"model, {q}", lambda q=q: _model(case, model, q, case.sigma_hu, seed)) for q in qualities]
    found = [("model, fast, σ auto", lambda: _model(case, model, "fast", "auto", seed))] if "fast" in qualities else []
    return classical + told + found


def _classical(tool: str, case: Case) -> tuple[np.ndarray, float]:
    low, high = case.window
    image = denoise_classically(tool, to_unit(case.low.voxels, case.window), case.sigma_hu / (high - low))
    return image * (high - low) + low, case.sigma_hu


def _model(case: Case, model, quality_name: str, sigma: float | str, seed: int) -> tuple[np.ndarray, float]:
    result = denoise(case.low, model, sigma=sigma, quality=quality_name, region=case.region, seed=seed)
    return result.volume.voxels, result.sigma_hu


def means(rows: Sequence[Row]) -> list[dict]:
    """Per method: mean gain in PSNR and SSIM over the cases, seconds of all, and their ratio to non-local means'."""
    seconds = {m: sum(r.seconds for r in rows if r.method == m) for m in dict.fromkeys(r.method for r in rows)}
    reference = seconds.get(NAMES["nlm"])
    return [
        {
            "method": method,
            "psnr": float(np.mean([r.gain.psnr for r in rows if r.method == method])),
            "ssim": float(np.mean([r.gain.ssim for r in rows if r.method == method])),
            "seconds": total,
            "time_ratio_to_nlm": total / reference if reference else None,
        }
        for method, total in seconds.items()
    ]


def as_json(rows: Sequence[Row], facts: dict) -> dict:
    """Everything that was measured, ready for JSON."""
    return {**facts, "classical_settings": SETTINGS, "rows": [asdict(row) for row in rows], "means": means(rows)}


def print_tables(rows: Sequence[Row]) -> None:
    """Gains per case and their mean, then the paper's for orientation."""
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(row.case for row in rows))
    table = Table("gain over the input", *names, "mean", "time / NLM", title="PSNR (dB) and SSIM inside the body")
    table.add_row(
        "input", *(_input(next(r for r in rows if r.case == name)) for name in names), "", "", end_section=True
    )
    for mean in means(rows):
        own = {row.case: row.gain for row in rows if row.method == mean["method"]}
        ratio = mean["time_ratio_to_nlm"]
        cells = [_pair(own[name].psnr, own[name].ssim) for name in names]
        table.add_row(mean["method"], *cells, _pair(mean["psnr"], mean["ssim"]), f"{ratio:.2f}" if ratio else "–")
    console = Console(width=max(100, 26 + 22 * (len(names) + 2)))
    console.print(table)
    if any(row.trained_on for row in rows):
        console.print("* a volume that the model was trained on")
    paper = ", ".join(f"{name} {_pair(*gains)}" for name, gains in PAPER.items())
    console.print(f"For orientation, the paper's Table V, on other data (Mayo 2016, real low dose): {paper}.")


def _input(row: Row) -> str:
    from .cases import PROTOCOL

    (low, high), sigma = PROTOCOL[row.region]
    mark = " *" if row.trained_on else ""
    return f"{row.region}{mark}, {sigma:g} HU\n{low:g} … {high:g} HU\n{row.before.psnr:.2f} / {row.before.ssim:.3f}"


def _pair(psnr: float, ssim: float) -> str:
    return f"{psnr:+.2f} / {ssim:+.3f}"
