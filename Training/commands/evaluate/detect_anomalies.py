"""`meddiff-fm evaluate detect-anomalies`: known lesions, real and planted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import SharedOptions, with_option_groups
from ..options import BoxOption, check_choice, require_packages


@dataclass(frozen=True)
class PlantingOptions:
    """The anomaly to plant: its size, its HU and its place."""

    diameter: Annotated[float | None, typer.Option(min=1, help="Longest axis of what is planted, mm.")] = None
    offset: Annotated[float | None, typer.Option(min=-2000, max=2000, help="HU added to what is planted.")] = None
    blend: Annotated[float, typer.Option(min=0, help="Depth over which it fades in, mm.")] = 2.0
    place: Annotated[int, typer.Option(min=0, help="Seed of its place.")] = 0

    def check(self) -> None:
        """Nothing: the command line knows the bounds."""


@dataclass(frozen=True)
class MapOptions:
    """Settings of the anomaly map: noise levels, draws, direction, smoothing."""

    t: Annotated[str | None, typer.Option("--t", metavar="T,...", help="Noise levels, in place of its own.")] = None
    draws: Annotated[int | None, typer.Option(min=1, max=100, help="Draws of noise, in place of its own.")] = None
    direction: Annotated[str, typer.Option(metavar="either|darker|brighter", help="What counts.")] = "either"
    smoothing: Annotated[float, typer.Option(min=0, max=50, help="Of the map, mm.")] = 2.0

    def check(self) -> None:
        """InputError unless each of --t is a timestep from 1 to 999 and the direction is one of three."""
        check_choice("direction", self.direction, ("either", "darker", "brighter"))
        if not all(part.isdecimal() and 1 <= int(part) <= 999 for part in self._parts()):
            raise InputError(f"--t cannot be {self.t!r}: give timesteps from 1 to 999 with commas, as 300,950.")

    @property
    def noise_levels(self) -> tuple[int, ...]:
        """The timesteps of --t; none without it."""
        return tuple(map(int, self._parts()))

    def _parts(self) -> list[str]:
        return [part.strip() for part in self.t.split(",")] if self.t else []


@with_option_groups
def evaluate_detect_anomalies(
    shared: SharedOptions,
    *,
    plant: Annotated[
        str | None, typer.Option("--plant", metavar="NAME[:REGION],...", help="Volumes to plant an anomaly into.")
    ] = None,
    organ: Annotated[
        str | None, typer.Option("--organ", help="Organ in all cases, in place of each one's own.")
    ] = None,
    box: BoxOption = None,
    planting: PlantingOptions,
    mapping: MapOptions,
    baselines_only: Annotated[bool, typer.Option("--baselines-only", help="Without the model.")] = False,
) -> None:
    """Find known lesions: image and pixel AUROC, PRO and Dice, beside the distance from the organ's median.

    --cases names volumes with a lesion mask (NAME_seg.nii.gz), --plant volumes to plant an anomaly into. Without
    either, with --data a validation lesion and test volumes to plant into, else those of the repository.
    """
    require_packages("sklearn", "matplotlib")
    from ...evaluate.cases.anomalies import CaseSelection, find_cases
    from ...evaluate.cases.box import read_box
    from ...evaluate.tasks.detect_anomalies import DetectSettings, evaluate_detection

    given = (planting.diameter, planting.offset, planting.blend, planting.place)
    cases = find_cases(CaseSelection(shared.data, shared.cases, plant, organ, read_box(box), *given))
    model = None if baselines_only else shared.load_model()
    settings = DetectSettings(mapping.noise_levels, mapping.draws, mapping.direction, mapping.smoothing, shared.seed)
    shared.emit(evaluate_detection(cases, model, settings), model, box=box)
