"""The table of image quality, and what goes into its JSON."""

from __future__ import annotations

from collections.abc import Sequence

from ..cases.image_quality import Scene
from ..reports.report import Metric
from .image_quality_measures import INSERTS_HU, Disc, Quality


def metrics(discs: Sequence[Disc]) -> tuple[Metric, ...]:
    """The columns of the table."""
    return (
        Metric("noise (HU)", "down", 1),
        Metric("NPS mean (1/mm)", "", 3),
        Metric("bias (HU)", "", 1, signed=True),
        *(Metric(f"TTF50, {value:g} HU (1/mm)", "up", 3) for value in INSERTS_HU),
        *(Metric(f"d′, {disc.name}", "up", 2) for disc in discs),
        *(Metric(f"of input's at least, {disc.name}", "up", 2) for disc in discs),
    )


def values(quality: Quality, before: Quality, discs: Sequence[Disc]) -> tuple[float, ...]:
    """A row of the table."""
    return (
        quality.noise.sigma,
        quality.noise.mean_frequency,
        quality.bias_hu,
        *(quality.transfers[value].half for value in INSERTS_HU),
        *(quality.seen[disc].d_prime for disc in discs),
        *(quality.seen[disc].ratio_interval(before.seen[disc])[0] for disc in discs),
    )


def facts_of(scene: Scene, method: str, quality: Quality, before: Quality, seconds: float) -> dict:
    """A row's measurements with its curves, for JSON."""
    return {
        "case": scene.name,
        "method": method,
        "seconds": seconds,
        "noise_hu": quality.noise.sigma,
        "bias_hu": quality.bias_hu,
        "nps": {
            "frequencies": quality.noise.frequencies.tolist(),
            "power": quality.noise.power.tolist(),
            "mean_frequency": quality.noise.mean_frequency,
            "peak_frequency": quality.noise.peak_frequency,
        },
        "ttf": [
            {"insert_hu": value, "half": t.half, "frequencies": t.frequencies.tolist(), "values": t.values.tolist()}
            for value, t in quality.transfers.items()
        ],
        "detectability": [
            {
                "contrast_hu": disc.contrast_hu,
                "diameter_mm": disc.diameter_mm,
                "pairs": len(seen.present),
                "d_prime": seen.d_prime,
                "interval": list(seen.interval()),
                "of_input_interval": list(seen.ratio_interval(before.seen[disc])),
            }
            for disc, seen in quality.seen.items()
        ],
    }


def notes(repeats: int) -> list[str]:
    return [
        "Noise: the difference of two images over √2, in even tissue; its spectrum's mean frequency is its grain.",
        "TTF50: where half of an edge's contrast is left, of cylinders across the slab; the mean of all slices.",
        "d′: non-prewhitening observer with an eye filter (Burgess 1994), the known disc as its template, life-size "
        "from half a meter. Of the input's at least: the lower 95 % bound of the ratio, by bootstrap over places, "
        f"slices and {repeats} repeats; slices are neighbors and not quite independent.",
    ]
