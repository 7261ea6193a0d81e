"""`meddiff-fm evaluate ablation`: models that differ in one component, beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from ..option_groups import ListOptions, SharedOptions, SynthesisOptions, with_option_groups
from ..options import FeaturesOption, SynthesisAnatomyOption
from .synthesize import PreparedSynthesis, SegmenterOption


@dataclass(frozen=True)
class AblationSampling(SynthesisOptions):
    """Options of synthesis, by default the paper's: at 1 mm, from noise."""

    quality: Annotated[str, typer.Option("--quality", metavar="fast|balanced|paper", help="As of synthesize.")] = (
        "paper"
    )
    spacing: Annotated[
        float, typer.Option("--spacing", min=0, max=10, metavar="MM", help="Grid to measure on; 0: the CT's own.")
    ] = 1.0


@with_option_groups
def evaluate_ablation(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Model folders, trained by the recipes base/ablation-*.json."),
    ],
    shared: SharedOptions,
    synthesis: AblationSampling,
    features: FeaturesOption = "model",
    anatomy: SynthesisAnatomyOption = "given",
    segmenter: SegmenterOption = "auto",
    *,
    listed: ListOptions,
) -> None:
    """Make CTs with models that differ in levels and position, and measure them alike: the paper's Table III.

    Cases as of evaluate synthesize. The settings of a model determine its row. Features of "model" are those of
    --model (the bundled one), the same for all.
    """
    prepared = PreparedSynthesis.of(shared, synthesis, features, anatomy, segmenter, listed)
    from MedDiffFMLib.cli.bar import progress_bar
    from MedDiffFMLib.models.loading import load_model

    from ...evaluate.tasks.ablation import components_of, report_of_ablation
    from ...evaluate.tasks.synthesize import compare, notes_on

    folders, metrics = components_of(models), prepared.metrics(shared.load_model())
    chosen, found = [], {}
    for component, folder in folders.items():
        model = load_model(folder, device=shared.device, precision=shared.precision)
        found[component] = {"model": model.name, "sha256": model.sha256}
        chosen.append(replace(model, name=component))
    with progress_bar("Ablation") as progress:
        rows = compare(prepared.pairs(chosen[0].device), chosen, metrics, progress=progress, **prepared.sampling)
    notes = notes_on(rows, metrics, synthesis.spacing or None)
    shared.emit(report_of_ablation(rows, notes, prepared.facts(metrics) | {"models": found}), None)
