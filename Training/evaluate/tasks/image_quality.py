"""`meddiff-fm evaluate image-quality`: what a physicist asks of a CT denoiser (AAPM TG-233): noise and its grain, edges
of several contrasts, and whether discs of low contrast can still be seen.

Every method is given the same images of a scene under fresh noise: plain ones, ones with low-contrast discs, and one
with inserts. What is planted in a slice is planted in all of them, a cylinder across the slab.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.parameters.denoise import FULL_STRENGTH, STRENGTHS, USUAL_STRENGTH
from MedDiffFMLib.tasks.denoise import denoise

from ..baselines.classical import NAMES, denoise_classically
from ..cases.image_quality import Scene
from ..cases.volumes import Dose, simulate_slab
from ..metrics.psnr_ssim import to_unit
from ..reports.report import Report, ReportRow
from .denoise import ALONE
from .denoise_report import INPUT
from .image_quality_measures import DISCS, Disc, Images, Quality, Run, measure, with_disc, with_inserts
from .image_quality_report import facts_of, metrics, notes, values

OF_MODEL = "model, "
WINDOW_HU = (-1400.0, 600.0)  # of classical tools, which must not cut the inserts off
INSERT_SEED = 9000  # of the image with inserts, apart from those of repeats


@dataclass(frozen=True)
class QualityMethods:
    """The methods to compare: classical tools, and the model in some qualities, each at full strength."""

    tools: Sequence[str] = ()
    qualities: Sequence[str] = ()
    model: Model | None = None
    seed: int = 0

    def runs(self, scene: Scene, sigma_hu: float) -> list[tuple[str, Run]]:
        """The name and the run of every method; the foundation model also alone, but in quality `paper`."""
        alone = [q for q in self.qualities if q != "paper"]
        return [
            *((NAMES[tool], partial(_classical, tool, sigma_hu)) for tool in self.tools),
            *((f"{OF_MODEL}{q}", partial(self._model, scene, sigma_hu, q, False)) for q in self.qualities),
            *((f"{ALONE}, {q}", partial(self._model, scene, sigma_hu, q, True)) for q in alone),
        ]

    def _model(self, scene: Scene, sigma_hu: float, quality: str, alone: bool, image: np.ndarray) -> np.ndarray:
        options = {"quality": quality, "region": scene.region, "seed": self.seed, "alone": alone}
        volume = scene.plain.with_voxels(image.astype(np.float32))
        return denoise(volume, self.model, sigma=sigma_hu, strength=FULL_STRENGTH, **options).volume.voxels


def _classical(tool: str, sigma_hu: float, image: np.ndarray) -> np.ndarray:
    low, high = WINDOW_HU
    return denoise_classically(tool, to_unit(image, WINDOW_HU), sigma_hu / (high - low)) * (high - low) + low


def evaluate_image_quality(
    scenes: Iterable[Scene],
    methods: QualityMethods,
    dose: Dose,
    repeats: int = 2,
    discs: Sequence[Disc] = DISCS,
    log: Callable[[str], None] = print,
) -> Report:
    """The report of every method in every scene. repeats: images with fresh noise, at least two."""
    lines, cases = [], []
    for scene in scenes:
        given = _noisy(scene, dose, repeats, discs)
        before = measure(scene, given)
        log(f"{scene.name}: {dose.sigma_hu:g} HU, {len(scene.places)} places in {len(given.inserts)} slices")
        for method, quality, seconds in _results(scene, given, methods, dose, before):
            lines.append(ReportRow(scene.name, method, values(quality, before, discs)))
            cases.append(facts_of(scene, method, quality, before, seconds))
            log(f"  {method}: {quality.noise.sigma:.1f} HU, {seconds:.0f} s")
    return Report(
        task="image-quality",
        title=f"Image quality of denoising, noise of {dose.sigma_hu:g} HU ({dose.simulator} beam, {dose.kernel})",
        metrics=metrics(discs),
        lines=lines,
        notes=notes(repeats),
        facts={"sigma_hu": dose.sigma_hu, "simulator": dose.simulator, "kernel": dose.kernel, "repeats": repeats},
        cases=cases,
    )


def _noisy(scene: Scene, dose: Dose, repeats: int, discs: Sequence[Disc]) -> Images:
    """The images that methods are given. Noise is that of the scene without what is planted."""
    hu = scene.plain.voxels

    def noise(seed: int) -> np.ndarray:
        return simulate_slab(scene.plain, replace(dose, seed=dose.seed + seed)) - hu

    seeds = iter(range(repeats * (1 + len(discs))))
    plain = [hu + noise(next(seeds)) for _ in range(repeats)]
    planted = {disc: [hu + with_disc(scene, disc) + noise(next(seeds)) for _ in range(repeats)] for disc in discs}
    return Images(plain, planted, np.maximum(hu + with_inserts(scene) + noise(INSERT_SEED), np.float32(-1024)))


def _results(scene: Scene, given: Images, methods: QualityMethods, dose: Dose, before: Quality) -> Iterator[tuple]:
    """(method, quality, seconds) of the input and of every method."""
    yield INPUT, before, 0.0
    for name, run in methods.runs(scene, dose.sigma_hu):
        started = time.perf_counter()
        made = given.each(run)
        seconds = time.perf_counter() - started
        yield name, measure(scene, made), seconds
        if name.startswith(OF_MODEL):
            mixed = given.mixed(made, STRENGTHS[USUAL_STRENGTH])
            yield f"{name}, {USUAL_STRENGTH}", measure(scene, mixed), seconds
