"""`meddiff-fm evaluate detect-anomalies`: known lesions, real and planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from MedDiffFMLib.errors import InputError

from ..option_groups import ListOptions, SharedOptions, with_option_groups
from ..options import BoxOption, InputsOption, MapsOption, check_choice, require_packages

if TYPE_CHECKING:
    from ...evaluate.cases.anomaly_case import AnomalyCase
    from ...evaluate.tasks.detect_anomalies import DetectSettings


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
    quality: Annotated[
        str,
        typer.Option(metavar="balanced|paper", help="The model's own settings, or the paper's."),
    ] = "balanced"
    smoothing: Annotated[
        float | None, typer.Option(min=0, max=50, help="Of the map, mm. Default: 2, in quality paper 0.")
    ] = None
    score: Annotated[
        str | None,
        typer.Option(
            metavar="from-median|map", help="Distance of the map from its median, or from 0 (default of quality paper)."
        ),
    ] = None

    def check(self) -> None:
        """InputError unless each of --t is a timestep from 1 to 999 and the direction and score are known ones."""
        check_choice("quality", self.quality, ("balanced", "paper"))
        check_choice("score", self.score or "map", ("from-median", "map"))
        check_choice("direction", self.direction, ("either", "darker", "brighter"))
        if not all(part.isdecimal() and 1 <= int(part) <= 999 for part in self._parts()):
            raise InputError(f"--t cannot be {self.t!r}: give timesteps from 1 to 999 with commas, as 300,950.")

    @property
    def noise_levels(self) -> tuple[int, ...]:
        """The timesteps of --t; none without it."""
        return tuple(map(int, self._parts()))

    def settings(self, seed: int) -> DetectSettings:
        """The settings of the map, those of the quality where none are asked for."""
        from ...evaluate.tasks.detect_anomalies import DetectSettings

        paper = self.quality == "paper"
        smoothing = (0.0 if paper else 2.0) if self.smoothing is None else self.smoothing
        from_median = (self.score or ("map" if paper else "from-median")) == "from-median"
        given = (self.noise_levels, self.draws, self.direction, smoothing, seed)
        return DetectSettings(*given, from_median=from_median, quality=self.quality)

    def _parts(self) -> list[str]:
        return [part.strip() for part in self.t.split(",")] if self.t else []


@dataclass(frozen=True)
class BmadOptions:
    """The slices of BMAD, and the HU and spacing that its pictures do not state."""

    bmad: Annotated[
        Path | None, typer.Option("--bmad", metavar="DIR", help="BMAD's liver slices (the folder that holds test).")
    ] = None
    gray_window: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LO HI", help="HU of its black and white. Default: the model's window of the abdomen."),
    ] = None
    pixel: Annotated[float, typer.Option("--pixel", min=0.2, max=5, help="Its pixels' and slices' distance, mm.")] = 1.0

    def check(self) -> None:
        """InputError for a window that is none."""
        if self.gray_window and not self.gray_window[0] < self.gray_window[1]:
            raise InputError("--gray-window needs the lower HU first: write, for example, --gray-window -120 240.")

    def cases(self) -> tuple[list[str], Iterator[AnomalyCase]]:
        """The pseudo-volumes, and their names."""
        from MedDiffFMLib.anatomy.regions import REGIONS

        from ...evaluate.cases.bmad import find_slices, read_bmad

        names = dict.fromkeys(one.patient for one in find_slices(self.bmad))
        return [*names], read_bmad(self.bmad, self.gray_window or REGIONS["abdomen"].window, self.pixel)


@dataclass(frozen=True)
class CaseOptions:
    """The volumes to plant an anomaly into, and the organ and the box of all cases."""

    plant: Annotated[
        str | None, typer.Option("--plant", metavar="NAME[:REGION],...", help="Volumes to plant an anomaly into.")
    ] = None
    organ: Annotated[str | None, typer.Option("--organ", help="Organ in all cases, in place of each one's own.")] = None
    box: BoxOption = None

    def check(self) -> None:
        """Nothing: the cases are checked when they are found."""


@dataclass(frozen=True)
class OtherMaps:
    """The maps of other methods, and where the inputs for them are written."""

    result: MapsOption = None
    inputs: InputsOption = None

    def check(self) -> None:
        """Nothing: the maps are checked once the cases are known."""


@with_option_groups
def evaluate_detect_anomalies(
    shared: SharedOptions,
    *,
    chosen: CaseOptions,
    planting: PlantingOptions,
    mapping: MapOptions,
    slices: BmadOptions,
    listed: ListOptions,
    baselines_only: Annotated[bool, typer.Option("--baselines-only", help="Without the model.")] = False,
    other: OtherMaps,
) -> None:
    """Find known lesions: image and pixel AUROC, PRO and Dice, beside the distance from the organ's median.

    --cases names volumes with a lesion mask (NAME_seg.nii.gz), --plant volumes to plant an anomaly into. Without
    either, with --data a validation lesion and test volumes to plant into, else those of the repository. A --list has
    the columns ct, lesion, region, lesion_labels, organ, organ_labels, anatomy. --bmad: the paper's Table VI.
    """
    require_packages("sklearn", "matplotlib")
    from ...evaluate.cases.inputs import write_inputs
    from ...evaluate.cases.results import check_results
    from ...evaluate.tasks.detect_anomalies import evaluate_detection
    from ...evaluate.tasks.detect_in_slices import evaluate_slices

    if slices.bmad and (shared.data or shared.cases or listed.cases_file or chosen != CaseOptions()):
        raise InputError("--bmad names all slices and their organ: give it alone, or name other cases without it.")
    names, cases = slices.cases() if slices.bmad else _cases(shared, listed, chosen, planting)
    if other.inputs:
        return write_inputs(other.inputs, ((case.name, case.inputs) for case in cases))
    check_results(other.result or [], names)
    model = None if baselines_only else shared.load_model()
    measured = evaluate_slices if slices.bmad else evaluate_detection
    report = measured(cases, model, mapping.settings(shared.seed), other.result or [])
    shared.emit(report, model, box=chosen.box)


def _cases(
    shared: SharedOptions, listed: ListOptions, chosen: CaseOptions, planting: PlantingOptions
) -> tuple[list[str], Iterator[AnomalyCase]]:
    """The names of the cases, and the cases: of the list, or those named in a folder."""
    from MedDiffFMLib.anatomy.classes import label_numbers

    from ...evaluate.cases.anomalies import CaseSelection, case_names, find_cases
    from ...evaluate.cases.box import read_box
    from ...evaluate.cases.real_anomalies import DETECTION_LIST, listed_case

    organ, box = chosen.organ, read_box(chosen.box)
    lines = listed.read(DETECTION_LIST, shared)
    if lines is None:
        given = (planting.diameter, planting.offset, planting.blend, planting.place)
        selection = CaseSelection(shared.data, shared.cases, chosen.plant, organ, box, *given)
        return case_names(selection), find_cases(selection)
    if chosen.plant:
        raise InputError("--list names real lesions: give it, or --plant, not both.")
    for name in {organ, *(line.words.get("organ") for line in lines)} - {None}:
        label_numbers(name)
    return [line.name for line in lines], (listed_case(line, organ, box) for line in lines)
