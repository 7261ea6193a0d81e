"""What is planted in a scene of image quality, and what images of it show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from MedDiffFMLib.tasks.strength import mix
from MedDiffFMLib.volumes.noise_power import NoisePower, noise_power

from ..cases.image_quality import Scene, disc_patch
from ..metrics.detectability import Responses, responses, template
from ..metrics.task_transfer import TaskTransfer, task_transfer

INSERTS_HU, INSERT_MM = (-1000.0, -35.0, 120.0, 340.0), 18.0
Run = Callable[[np.ndarray], np.ndarray]  # HU (Z, Y, X)


@dataclass(frozen=True)
class Disc:
    """A low-contrast disc: HU above its surroundings, and its diameter."""

    contrast_hu: float
    diameter_mm: float

    @property
    def name(self) -> str:
        return f"{self.contrast_hu:g} HU, {self.diameter_mm:g} mm"


DISCS = (Disc(14, 5), Disc(7, 10))


@dataclass(frozen=True)
class Images:
    """Images of a scene, (Z, Y, X) in HU: plain ones and ones with each disc, one a repeat, and one with inserts."""

    plain: list[np.ndarray]
    discs: dict[Disc, list[np.ndarray]]
    inserts: np.ndarray

    def each(self, run: Run) -> Images:
        """The images after a method."""
        discs = {disc: [run(image) for image in images] for disc, images in self.discs.items()}
        return Images([run(image) for image in self.plain], discs, run(self.inserts))

    def mixed(self, made: Images, percent: float) -> Images:
        """These images with `percent` of what a method changed, as a strength gives them."""
        to = partial(mix, percent=percent)
        discs = {disc: list(map(to, self.discs[disc], made.discs[disc])) for disc in self.discs}
        return Images(list(map(to, self.plain, made.plain)), discs, to(self.inserts, made.inserts))


@dataclass(frozen=True)
class Quality:
    """What was measured of a method in a scene; `bias_hu`: the mean change of even tissue."""

    noise: NoisePower
    bias_hu: float
    transfers: dict[float, TaskTransfer]
    seen: dict[Disc, Responses]


def with_disc(scene: Scene, disc: Disc) -> np.ndarray:
    """The discs of one kind at all places of a scene, (Y, X) in HU."""
    return disc.contrast_hu * sum(scene.disc(place, disc.diameter_mm) for place in scene.places)


def with_inserts(scene: Scene) -> np.ndarray:
    """The inserts, the first at the first place and so on, (Z, Y, X) in HU: tissue is replaced by them."""
    change = np.zeros_like(scene.plain.voxels)
    for place, value in _insert_places(scene):
        change += scene.disc(place, INSERT_MM) * (value - scene.plain.voxels)
    return change


def _insert_places(scene: Scene) -> list[tuple[tuple[int, int], float]]:
    """Each place with its insert's HU; places beyond a multiple of the inserts stay plain."""
    count = len(scene.places) // len(INSERTS_HU) * len(INSERTS_HU)
    return [(place, INSERTS_HU[i % len(INSERTS_HU)]) for i, place in enumerate(scene.places[:count])]


def measure(scene: Scene, images: Images) -> Quality:
    """What a method's images show. Noise is the difference of two repeats over √2; what is planted, the difference from
    the scene without it.
    """
    hu = scene.plain.voxels
    halves = [(a - b) / np.sqrt(2) for a, b in zip(images.plain[::2], images.plain[1::2], strict=False)]
    noise = np.concatenate([scene.cut(half, place) for half in halves for place in scene.places])
    rest = [scene.cut(image - hu, place) for image in images.plain for place in scene.places]
    transfers = {}
    for value in INSERTS_HU:
        profiles = [scene.cut(images.inserts - hu, place).mean(0) for place, at in _insert_places(scene) if at == value]
        center = (profiles[0].shape[0] // 2,) * 2
        transfers[value] = task_transfer(np.mean(profiles, axis=0), center, INSERT_MM / 2, scene.pixel_mm)
    absent = [region for regions in rest for region in regions]
    seen = {}
    for disc, with_it in images.discs.items():
        weights = template(disc.contrast_hu * disc_patch(disc.diameter_mm, scene.pixel_mm), scene.pixel_mm)
        present = [region for image in with_it for place in scene.places for region in scene.cut(image - hu, place)]
        seen[disc] = responses(weights, present, absent)
    return Quality(noise_power(noise, scene.pixel_mm), float(np.mean(rest)), transfers, seen)
