"""The facts of a run, one class a task: what was found, chosen and computed beside the result itself.

They are a result's `facts`, and as JSON (`to_dict`) a part of its provenance and of the worker's `result`. Lengths are
in mm, volumes in ml, timesteps in the order of sampling; windows are those of the network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Facts:
    """The facts of a run: what was found and computed."""

    def to_dict(self) -> dict:
        """The facts for JSON, as the provenance holds them."""
        return asdict(self)


class _FactsByRegion:
    """Facts that follow from `regions`, the facts of each region from the feet up."""

    @property
    def region(self) -> str:
        """The names of the regions: chest, or abdomen + chest + head-neck."""
        return " + ".join(one.region for one in self.regions)

    @property
    def windows(self) -> int:
        """The windows that were computed, of all regions."""
        return sum(one.windows for one in self.regions)

    @property
    def windows_of_air(self) -> int:
        """The windows that were left out, of all regions."""
        return sum(one.windows_of_air for one in self.regions)

    @property
    def network_evaluations(self) -> int:
        """The evaluations of the network on a tile, of all regions."""
        return sum(one.network_evaluations for one in self.regions)

    def _counts(self) -> dict:
        return {key: getattr(self, key) for key in ("windows", "windows_of_air", "network_evaluations")}


@dataclass(frozen=True)
class RegionFacts(Facts):
    """The facts of a region of a scan. mm_superior: its lowest and highest end, without what it shares with others."""

    region: str
    window_hu: list[float]
    timesteps: list[int]
    windows: int
    windows_of_air: int
    network_evaluations: int
    mm_superior: list[float]


@dataclass(frozen=True)
class UncertaintyFacts(Facts):
    """The facts of an uncertainty: over how many orientations, and its median and 95th percentile at full strength
    where it is above 0, in HU.
    """

    orientations: int
    full_median_hu: float
    full_percentile_95_hu: float


@dataclass(frozen=True)
class DenoiseFacts(_FactsByRegion, Facts):
    """The facts of denoising. sigma_hu: the noise of the input; before and after: as measured, None where it cannot
    be; noise_by_strength_hu: after it at several strengths, {"70": 12.5}; grain_by_strength_per_mm and full_change_hu:
    see `denoise_numbers.DenoiseNumbers`.

    grid: own or its spacing; non_local_means: their weight; refiner, restorer: their names or none; uncertainty: None
    where it was not asked for.
    """

    sigma_hu: float
    noise_before_hu: float | None
    noise_after_hu: float | None
    strength_percent: float
    noise_by_strength_hu: dict[str, float | None]
    grain_by_strength_per_mm: dict[str, float | None]
    full_change_hu: dict[str, float]
    anatomy: str
    grid: str
    non_local_means: float
    refiner: str
    restorer: str
    regions: list[RegionFacts]
    uncertainty: UncertaintyFacts | None = None

    def to_dict(self) -> dict:
        """For JSON: one region among the other facts, several as `parts`."""
        facts = _without_missing_uncertainty(asdict(self))
        parts = facts.pop("regions")
        how = {key: facts.pop(key) for key in ("grid", "non_local_means", "refiner", "restorer")}
        if len(parts) > 1:
            return facts | {"region": self.region} | how | self._counts() | {"parts": parts}
        del parts[0]["mm_superior"]
        return facts | parts[0] | how


def _without_missing_uncertainty(facts: dict) -> dict:
    return {name: value for name, value in facts.items() if name != "uncertainty" or value is not None}


@dataclass(frozen=True)
class DetectAnomaliesFacts(Facts):
    """The facts of a detection. findings: how many; surroundings: of the organ; noised: what noise was added to, up to
    `timestep`.
    """

    organ: str
    organ_ml: float
    anatomy: str
    findings: int
    region: str
    window_hu: list[float]
    grid: str
    surroundings: str
    noised: str
    timestep: int
    draws: int
    threshold_hu: float
    threshold_counts_from_hu: float
    windows: int
    windows_left_out: int
    network_evaluations: int


@dataclass(frozen=True)
class SynthesizedLevel(Facts):
    """The facts of a grid that the synthesis went through; size and spacing (x, y, z)."""

    level: str
    size: list[int]
    spacing_mm: list[float]
    timesteps: list[int]
    windows: int
    windows_of_air: int


@dataclass(frozen=True)
class SynthesizedRegion(Facts):
    """The facts of one synthesized region. network_evaluations: of all samples."""

    region: str
    window_hu: list[float]
    sampler: str
    begun_from: str
    levels: list[SynthesizedLevel]
    network_evaluations: int


@dataclass(frozen=True)
class SynthesizeFacts(_FactsByRegion, Facts):
    """The facts of a synthesis. body: given or estimated; seeds: of each sample."""

    body: str
    seeds: list[int]
    regions: list[SynthesizedRegion]

    @property
    def begun_from(self) -> str:
        """The start of the first region."""
        return self.regions[0].begun_from

    @property
    def levels(self) -> list[SynthesizedLevel]:
        """The levels of all regions, one after the other."""
        return [level for one in self.regions for level in one.levels]

    def to_dict(self) -> dict:
        """For JSON: one region among the other facts, several as `parts`."""
        facts = asdict(self)
        parts = facts.pop("regions")
        if len(parts) == 1:
            return facts | parts[0]
        levels = [level.to_dict() for level in self.levels]
        whole = {"region": self.region, "parts": parts, "begun_from": self.begun_from, "levels": levels}
        return facts | whole | {"network_evaluations": self.network_evaluations}


@dataclass(frozen=True)
class SuperResolveFacts(_FactsByRegion, Facts):
    """The facts of super-resolution. slices, slice_distance_mm: before and after; slice_distance_asked_mm: None where a
    factor was asked for. slice_thickness_mm: before, and from where it is known: dicom, option, or distance, where it
    was taken to be that. slice_means: profile, by the thickness, or plain, of `factor` new slices.

    block_mean_error_hu: how far these means of the new slices are from the old ones at most. control, refiner: their
    names or none; uncertainty: None where it was not asked for.
    """

    plane: str
    factor: int
    slices: list[int]
    slice_distance_mm: list[float]
    slice_distance_asked_mm: float | None
    slice_thickness_mm: float
    slice_thickness_from: str
    slice_means: str
    block_mean_error_hu: float
    anatomy: str
    control: str
    refiner: str
    regions: list[RegionFacts]
    uncertainty: UncertaintyFacts | None = None

    def to_dict(self) -> dict:
        """For JSON: one region among the other facts, several as `parts`."""
        facts = _without_missing_uncertainty(asdict(self))
        parts = facts.pop("regions")
        if len(parts) > 1:
            return {"region": self.region} | facts | self._counts() | {"parts": parts}
        del parts[0]["mm_superior"]
        return {"region": self.region, "window_hu": parts[0]["window_hu"]} | facts | parts[0]


@dataclass(frozen=True)
class LesionMaskFacts(Facts):
    """The facts of a lesion to be drawn. lesion_labels: the mask's own, or how many where there are ten or more."""

    kind: str
    lesion_mask: str
    lesion_labels: list[int] | str
    lesion_ml: float
    region: str


@dataclass(frozen=True)
class ControlledLesionFacts(LesionMaskFacts):
    """The facts of a lesion drawn with the whole CT, which is counted as the synthesis's, by a ControlNet at every
    step.
    """

    drawn: str = "throughout"
    network_evaluations: int = 0


@dataclass(frozen=True)
class LesionFacts(LesionMaskFacts):
    """The facts of a lesion drawn into a CT. begun_from_hu: painted into its mask before noise was added, None for
    nothing.

    network_evaluations: of all samples.
    """

    window_hu: list[float]
    grid: str
    blend_mm: float
    begun_from_hu: float | None
    timesteps: list[int]
    resample: int
    windows: int
    network_evaluations: int


@dataclass(frozen=True)
class InpaintLesionFacts(LesionFacts):
    """The facts of inpainting. seeds: of each sample."""

    anatomy: str
    seeds: list[int]


@dataclass(frozen=True)
class GenerateLesionFacts(Facts):
    """The facts of lesion generation: of the synthesis, and of the lesion drawn after or with it."""

    synthesis: SynthesizeFacts
    lesion: LesionFacts | ControlledLesionFacts

    @property
    def region(self) -> str:
        """The regions of the synthesis."""
        return self.synthesis.region

    @property
    def seeds(self) -> list[int]:
        """The seed of each sample."""
        return self.synthesis.seeds

    @property
    def network_evaluations(self) -> int:
        """The evaluations for synthesis and lesion, all samples."""
        return self.synthesis.network_evaluations + self.lesion.network_evaluations

    def to_dict(self) -> dict:
        """The facts for JSON: the synthesis's, and among them the `lesion`."""
        whole = {"lesion": self.lesion.to_dict(), "network_evaluations": self.network_evaluations}
        return self.synthesis.to_dict() | whole
