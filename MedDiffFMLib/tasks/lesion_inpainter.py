"""A new lesion in a CT: RePaint with the ControlNet of its kind (paper, III-E3), in the tiles that meet it.

[paper eq. 13]

    x_s = (1 − c_t) ⊙ x_s^known + c_t ⊙ x_s^unknown,   c_t the lesion's mask

Shared by lesion inpainting, into a patient's CT, and lesion generation, into a synthetic one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from scipy import ndimage

from ..anatomy.lesion_masks import blend_weights, bounding_box, check_place, lesion_voxels, volume_ml
from ..anatomy.regions import Region
from ..diffusion.samplers import Inpainting, clip, identity, randn_like, repaint, repaint_evaluations
from ..diffusion.schedule import T_START, add_noise, quadratic_steps, uniform_steps
from ..errors import InputError
from ..inference.noise_predictor import NoisePredictor
from ..models.controlnet_folder import controlnet_names
from ..models.loading import Model
from ..parameters import GenerateLesionParameters, InpaintLesionParameters
from ..progress import Reporter
from ..volumes.intensity import to_hu, to_model
from ..volumes.volume import Volume, cast_like
from .facts import LesionFacts
from .scan import Scan
from .settings import TiledSettings, settings_for

PREFIX = "lesion-"
USUAL_KINDS = {"chest": ("lung", "lung-tumor"), "abdomen": ("liver", "liver-tumor")}


@dataclass(frozen=True)
class LesionSettings(TiledSettings):
    """The settings of drawing a lesion. A model's config may hold others (inpaint-lesion).

    spacing_mm: the grid that is computed on, None for the scan's own. steps: timesteps from t_start to 0, close
    together at little noise, None for all. resample: RePaint's U, evaluations a step. margin: share of a tile that
    surrounds the lesion at least, where the volume reaches so far. blend_mm: depth over which the lesion replaces what
    was there. plain: the equation as it stands, estimates of x_0 as they are, steps evenly spaced, and none of the
    kind's own settings.
    """

    spacing_mm: float | None = 1.0
    t_start: int = T_START
    steps: int | None = 40
    resample: int = 4
    margin: float = 0.125
    blend_mm: float = 2.0
    tile_weights: str = "fade"
    plain: bool = False


PAPER = LesionSettings(steps=None, resample=1, blend_mm=0.0, tile_weights="mean", plain=True)


@dataclass(frozen=True)
class KindSettings:
    """The settings of a kind of lesion: start and limits by the HU of real ones. The paper: from noise over what was
    there, no bounds. A model's config may hold others, under the name of the kind's ControlNet (lesion-lung).

    start_hu: painted into the mask before noise is added, None for nothing; t_start: the t of that noise (SDEdit, Meng
    et al. 2022), None for the settings' own. range_hu: every estimate of x_0 within the mask is kept in it.
    """

    start_hu: float | None = None
    t_start: int | None = None
    range_hu: tuple[float, float] = (-math.inf, math.inf)


def lesion_settings(model: Model, params: InpaintLesionParameters | GenerateLesionParameters) -> LesionSettings:
    """The settings of a run: the quality's, overridden by the model's unless it is the paper's, and those by the
    parameters.
    """
    if params.quality == "paper":
        settings = PAPER if params.overlap is None else replace(PAPER, overlap=params.overlap)
    else:
        settings = settings_for(model, "inpaint-lesion", LesionSettings(), overlap=params.overlap)
    return replace(settings, steps=params.steps or settings.steps, resample=params.resample or settings.resample)


def choose_kind(model: Model, kind: str, region: Region) -> str:
    """The name of the ControlNet for a kind of lesion: liver or lesion-liver. "auto" is the model's only one, or the
    one for the region's usual organ. InputError, with those that there are, for any other.
    """
    kinds = [name.removeprefix(PREFIX) for name in controlnet_names(model.folder) if name.startswith(PREFIX)]
    if not kinds:
        raise InputError(f"The model {model.name} has no ControlNet for lesions: choose another model with --model.")
    if kind == "auto":
        usual = [k for k in USUAL_KINDS.get(region.name, ()) if k in kinds]
        chosen = kinds[0] if len(kinds) == 1 else usual[0] if usual else None
        problem = f"can draw several kinds of lesions and none is the usual one of {region.name}"
    else:
        chosen = kind.removeprefix(PREFIX) if kind.removeprefix(PREFIX) in kinds else None
        problem = f"cannot draw lesions of the kind {kind!r}"
    if chosen is None:
        raise InputError(f"The model {model.name} {problem}: choose with --kind one of {', '.join(kinds)}.")
    return PREFIX + chosen


@dataclass(frozen=True)
class VoxelBox:
    """A box in a volume: its first voxel and its size, (z, y, x)."""

    start: tuple[int, int, int]
    size: tuple[int, int, int]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index."""
        return tuple(slice(s, s + n) for s, n in zip(self.start, self.size, strict=True))


def lesion_box(lesion: np.ndarray, patch: int, margin: float) -> VoxelBox:
    """The box that is computed: the lesion and `margin` · patch voxels around it, at least one tile of `patch` voxels
    along each axis, moved into the volume and no larger than it. A small lesion lies in its middle.
    """
    start, size = [], []
    for (first, last), length in zip(bounding_box(lesion), lesion.shape, strict=True):
        extent = min(max(last - first + 2 * round(margin * patch), patch), length)
        start.append(min(max((first + last - extent) // 2, 0), length - extent))
        size.append(extent)
    return VoxelBox(tuple(start), tuple(size))


class LesionInpainter:
    """The drawing of lesions of one mask into one CT. `evaluations` times `tiles` is what a lesion costs."""

    def __init__(
        self,
        model: Model,
        scan: Scan,
        mask: Volume,
        labels: np.ndarray,
        kind: str,
        settings: LesionSettings,
        reporter: Reporter,
    ):
        """scan: the CT that the lesion comes into; mask: on its source's grid; labels: its anatomy, on the scan's
        frame. Raises InputError if the mask is empty or not a mask, or if the model has no such kind.
        """
        self.scan, self.reporter = scan, reporter
        source = scan.frame.source
        self.voxels = lesion_voxels(mask, source)
        self.kind = choose_kind(model, kind, scan.region)
        self.kind_settings = KindSettings() if settings.plain else settings_for(model, self.kind, KindSettings())
        self.settings = replace(settings, t_start=self.kind_settings.t_start or settings.t_start)
        lesion = scan.frame.labels(source.with_voxels(self.voxels.astype(np.uint8))) > 0
        check_place(lesion, scan.body, mask.source)
        self.box = lesion_box(lesion, model.network.config.patch, settings.margin)
        self.lesion = lesion[self.box.slices]
        control = model.controlnet(self.kind, kinds=("lesion-mask",))
        conditions = scan.conditions(model, labels).part(self.box.start, self.box.size)
        self.eps = NoisePredictor(
            model,
            replace(conditions, target=self.lesion[None].astype(np.float32)),
            self.lesion,  # in a tile without lesion all is known: it is not computed
            air=scan.air,
            tiling=settings.tiling,
            on_tile=reporter.part,
            control=control,
        )
        spaced = uniform_steps if settings.plain else quadratic_steps
        self.steps = spaced(self.settings.t_start, settings.steps or self.settings.t_start + 1)
        self.mask = mask

    @property
    def evaluations(self) -> int:
        """Evaluations of ε that one lesion needs, each over all `tiles`."""
        return repaint_evaluations(self.steps, self.settings.resample)

    @property
    def tiles(self) -> int:
        """Tiles that meet the lesion."""
        return len(self.eps.active)

    def inpaint(self, seed: int) -> Volume:
        """The CT with a new lesion, on its grid and of its type; outside the mask bit-identical."""
        known = self._known()
        generator = torch.Generator().manual_seed(seed)
        schedule = self.eps.model.schedule
        begin, inside = self._begin(known), torch.from_numpy(self.lesion).to(known.device)
        start = add_noise(begin, self.steps[0], schedule, randn_like(known, generator))
        done = self.reporter.done
        x0 = repaint(
            self.eps,
            start,
            schedule,
            self.steps,
            identity if self.settings.plain else partial(self._within_range, inside=inside),
            generator,
            lambda i, t, x0: self.reporter.step(done + i, t, x0),
            inpainting=Inpainting(known, inside, self.settings.resample),
        )
        new = to_hu(_beyond_the_edge(x0.cpu().numpy(), self.lesion), self.scan.window)
        return replace(self.scan.frame.source, voxels=self._blended(self._on_source_grid(new)))

    def _known(self) -> torch.Tensor:
        """The CT in the box, in the model's range."""
        return torch.from_numpy(to_model(self.scan.frame.hu[self.box.slices], self.scan.window)).to(
            self.eps.model.device
        )

    def _on_source_grid(self, new: np.ndarray) -> np.ndarray:
        """An image of the box in HU on the source's grid. Around the box is the CT, to the window's ends where that
        reaches into the box on the way to another grid.
        """
        frame, window = self.scan.frame, self.scan.window
        whole = to_hu(to_model(frame.hu, window), window) if frame.resampled else frame.hu.copy()
        whole[self.box.slices] = new
        return frame.restore(whole)

    def _within_range(self, x0: torch.Tensor, t: int, inside: torch.Tensor) -> torch.Tensor:
        """An estimate of x_0 kept in the kind's HU where the lesion is, elsewhere in the window."""
        low, high = (float(to_model(end, self.scan.window)) for end in self.kind_settings.range_hu)
        return torch.where(inside, x0.clamp(low, high), clip(x0, t))

    def _begin(self, known: torch.Tensor) -> torch.Tensor:
        """The image that noise is added to at the start: the CT, with the lesion in the kind's HU."""
        hu = self.kind_settings.start_hu
        if hu is None:
            return known
        painted = torch.full_like(known, float(to_model(hu, self.scan.window)))
        return torch.where(torch.from_numpy(self.lesion).to(known.device), painted, known)

    def as_volume(self, x0: torch.Tensor) -> Volume:
        """An estimate of the box as HU in the CT on the grid that is computed on, for a preview."""
        hu = self.scan.frame.hu.copy()
        hu[self.box.slices][self.lesion] = to_hu(x0.cpu().numpy(), self.scan.window)[self.lesion]
        return self.scan.frame.volume.with_voxels(hu)

    def _blended(self, new: np.ndarray) -> np.ndarray:
        """New HU on the source's grid, fading into what was there within the mask's edge; kept outside the mask."""
        source, blended = self.scan.frame.source, self.scan.frame.source.voxels.copy()
        box = tuple(slice(first - 1, last + 1) for first, last in bounding_box(self.voxels))
        weight = blend_weights(self.voxels[box], source.spacing[::-1], self.settings.blend_mm)
        mixed = weight * new[box] + (1 - weight) * blended[box]
        blended[box] = np.where(self.voxels[box], cast_like(mixed, like=source), blended[box])
        return blended

    def estimate(self, samples: int) -> dict:
        """An estimate for `samples` lesions: `seconds_each` of a tile, measured, and how many `network_evaluations`;
        with the region and the kind.
        """
        return {
            "region": self.scan.region.name,
            "kind": self.kind.removeprefix(PREFIX),
            "network_evaluations": self.evaluations * self.tiles * samples,
            "seconds_each": self.eps.seconds_of_a_tile(self._known(), self.steps[0]) if self.tiles else None,
        }

    def facts(self, samples: int) -> LesionFacts:
        """The facts of all samples: what was drawn and computed."""
        settings = self.settings
        return LesionFacts(
            **mask_facts(self.kind, self.mask, self.voxels, self.scan.frame.source),
            region=self.scan.region.name,
            window_hu=list(self.scan.window),
            grid="own" if settings.spacing_mm is None else f"{settings.spacing_mm} mm",
            blend_mm=settings.blend_mm,
            begun_from_hu=self.kind_settings.start_hu,
            timesteps=self.steps,
            resample=settings.resample,
            windows=self.tiles,
            network_evaluations=self.evaluations * self.tiles * samples,
        )


def mask_facts(kind: str, mask: Volume, voxels: np.ndarray, source: Volume) -> dict:
    """The kind of a lesion and what its mask holds, for the provenance. voxels: the lesion on the grid of `source`."""
    labels = [int(label) for label in np.unique(mask.voxels) if label > 0]
    return {
        "kind": kind.removeprefix(PREFIX),
        "lesion_mask": "given, resampled" if mask.resampled else "given",
        "lesion_labels": labels if len(labels) < 10 else f"{len(labels)} numbers, all taken for lesion",
        "lesion_ml": round(volume_ml(voxels, source.spacing[::-1]), 3),
    }


def _beyond_the_edge(x: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """The lesion carried on around itself, each voxel outside as the nearest within: on the way to another grid its
    edge neither mixes with what surrounds it nor overshoots.
    """
    nearest = ndimage.distance_transform_edt(~lesion, return_distances=False, return_indices=True)
    return x[tuple(nearest)]
