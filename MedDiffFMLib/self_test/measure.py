"""Statistics of a model's tasks: every task, small, on a real CT that comes with the package.

The CT is a box of 48 × 64 × 64 voxels of a chest: one window of the network. 18 evaluations in all with the bundled
model. Means over many voxels hardly change with the rounding of another processor, GPU or precision, and do when
weights, windows or conditions are not what they should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ..anatomy.classes import label_numbers
from ..anatomy.tissue import BODY_LABEL, BONE_LABEL, LUNG_LABEL
from ..diffusion.slice_operators import block_mean, interpolate_slices
from ..errors import InputError
from ..models.loading import Model
from ..parameters import TASKS
from ..parameters.denoise import FULL_STRENGTH
from ..progress import ProgressCallback, sub_progress
from ..tasks.denoise import denoise
from ..tasks.detect_anomalies import detect_anomalies
from ..tasks.generate_lesion import generate_lesion
from ..tasks.inpaint_lesion import inpaint_lesion
from ..tasks.super_resolve import super_resolve
from ..tasks.synthesize import synthesize
from ..volumes.io import read_volume
from ..volumes.volume import Volume

FOLDER = Path(__file__).resolve().parents[1] / "bundled" / "self-test"
LIVER = label_numbers("liver")[0]
NOISE_HU = 26.0  # of the CT, in its liver
FACTOR = 4
LESION_CENTER, LESION_RADIUS_MM = (18, 24, 23), 12.0  # (z, y, x), in the lung
SAME = {"region": "chest", "seed": 1}


@dataclass(frozen=True)
class Statistic:
    """A figure of what a task computed. rounding: the least change that another rounding must be allowed."""

    name: str
    value: float
    rounding: float


@dataclass(frozen=True)
class SelfTestCase:
    """The CT, its label map, and a lesion's mask in its lung, on one grid; z grows to superior."""

    ct: Volume
    anatomy: Volume

    @cached_property
    def lesion(self) -> Volume:
        """The mask of a ball in the lung."""
        away = np.moveaxis(np.indices(self.ct.voxels.shape), 0, -1) - LESION_CENTER
        mask = np.linalg.norm(away * self.ct.spacing[::-1], axis=-1) <= LESION_RADIUS_MM
        return self.ct.with_voxels(mask.astype(np.uint8))

    @cached_property
    def thick(self) -> Volume:
        """The CT with every `FACTOR` slices averaged to one."""
        slices = block_mean(torch.from_numpy(self.ct.voxels.astype(np.float32)), FACTOR).numpy()
        x, y, z = self.ct.spacing
        return Volume(slices, (x, y, z * FACTOR), self.ct.origin, self.ct.direction, self.ct.source)

    @cached_property
    def thick_anatomy(self) -> Volume:
        """The label map on the grid of `thick`."""
        return self.thick.with_voxels(self.anatomy.voxels[FACTOR // 2 :: FACTOR])

    def where(self, label: int) -> np.ndarray:
        """The voxels of a label, bool."""
        return self.anatomy.voxels == label


def read_case() -> SelfTestCase:
    """The CT and label map that come with the package."""
    return SelfTestCase(*(read_volume(FOLDER / f"{name}.nii.gz") for name in ("ct", "anatomy")))


def measure(
    model: Model, tasks: Iterable[str], progress: ProgressCallback | None = None
) -> Iterator[tuple[str, list[Statistic] | InputError]]:
    """The statistics of each of `tasks`, or the InputError that it met, as soon as they are there.

    What `progress` raises passes through.
    """
    case, tasks = read_case(), list(tasks)
    for number, task in enumerate(tasks):
        on_progress = sub_progress(progress, number / len(tasks), (number + 1) / len(tasks))
        try:
            yield task, list(MEASURED[task](case, model, on_progress))
        except InputError as error:
            yield task, error


def _denoise(case: SelfTestCase, model: Model, progress: ProgressCallback | None) -> Iterator[Statistic]:
    """The statistics of denoising, in each region and so in each HU window."""
    liver = ndimage.binary_erosion(case.where(LIVER), iterations=2)
    for number, region in enumerate(("chest", "abdomen", "head-neck")):
        on_progress = sub_progress(progress, number / 3, (number + 1) / 3)
        settings = SAME | {"region": region, "quality": "fast", "strength": FULL_STRENGTH}
        result = denoise(case.ct, model, case.anatomy, on_progress, sigma=NOISE_HU, **settings)
        change = _hu(result.volume) - _hu(case.ct)
        if region == "chest":
            yield Statistic("noise before in the liver (HU)", float(_hu(case.ct)[liver].std()), 0.01)
        yield Statistic(f"noise after, {region} window (HU)", float(_hu(result.volume)[liver].std()), 0.1)
        yield Statistic(f"mean change, {region} window (HU)", float(change.mean()), 0.05)
        yield Statistic(f"mean size of the change, {region} window (HU)", float(np.abs(change).mean()), 0.05)


def _detect_anomalies(case: SelfTestCase, model: Model, progress: ProgressCallback | None) -> Iterator[Statistic]:
    """The statistics of detection, over the whole body and over an organ of one tissue, which begins otherwise."""
    for number, (organ, where) in enumerate({"body": case.anatomy.voxels > 0, "lungs": case.where(LUNG_LABEL)}.items()):
        on_progress = sub_progress(progress, number / 2, (number + 1) / 2)
        result = detect_anomalies(case.ct, model, case.anatomy, on_progress, organ=organ, draws=1, **SAME)
        deviation = result.map.voxels[where]
        yield Statistic(f"mean of the map, {organ} (HU)", float(deviation.mean()), 0.25)
        yield Statistic(f"spread of the map, {organ} (HU)", float(deviation.std()), 0.25)


def _synthesize(case: SelfTestCase, model: Model, progress: ProgressCallback | None) -> Iterator[Statistic]:
    ct = synthesize(case.anatomy, model, progress, quality="fast", levels="double", steps=3, **SAME).volumes[0]
    hu, middle = _hu(ct), len(ct.voxels) // 2
    for name, label in (("lung", LUNG_LABEL), ("soft tissue", BODY_LABEL), ("bone", BONE_LABEL)):
        yield Statistic(f"mean of {name} (HU)", float(hu[case.where(label)].mean()), 0.25)
    lung = case.where(LUNG_LABEL)
    upper, lower = (float(hu[half][lung[half]].mean()) for half in (slice(middle, None), slice(middle)))
    yield Statistic("lung, upper half less lower half (HU)", upper - lower, 0.25)
    yield Statistic("spread within the lung (HU)", float(hu[lung].std()), 0.25)


def _super_resolve(case: SelfTestCase, model: Model, progress: ProgressCallback | None) -> Iterator[Statistic]:
    result = super_resolve(case.thick, model, case.thick_anatomy, progress, quality="fast", factor=FACTOR, **SAME)
    thick = torch.from_numpy(case.thick.voxels)
    thin, truth, linear = _hu(result.volume), _hu(case.ct), interpolate_slices(thick, FACTOR).double().numpy()
    error = block_mean(torch.from_numpy(thin), FACTOR).numpy() - _hu(case.thick)
    gain = 10 * np.log10(np.mean((linear - truth) ** 2) / np.mean((thin - truth) ** 2))
    yield Statistic("block means, largest error (HU)", float(np.abs(error).max()), 0.01)
    yield Statistic("gain over linear interpolation (dB)", float(gain), 0.005)
    yield Statistic("mean change of linear interpolation (HU)", float(np.abs(thin - linear).mean()), 0.1)


def _generate_lesion(case: SelfTestCase, model: Model, progress: ProgressCallback | None) -> Iterator[Statistic]:
    few = {"synthesis_steps": 2, "steps": 3, "resample": 1}
    result = generate_lesion(case.anatomy, case.lesion, model, progress, quality="balanced", **few, **SAME)
    hu, inside = _hu(result.volumes[0]), case.lesion.voxels > 0
    yield Statistic("mean in the lesion (HU)", float(hu[inside].mean()), 0.25)
    yield Statistic("mean of the lung around it (HU)", float(hu[case.where(LUNG_LABEL) & ~inside].mean()), 0.25)


def _inpaint_lesion(case: SelfTestCase, model: Model, progress: ProgressCallback | None) -> Iterator[Statistic]:
    result = inpaint_lesion(case.ct, case.lesion, model, case.anatomy, progress, steps=3, resample=1, **SAME)
    hu, inside = _hu(result.volumes[0]), case.lesion.voxels > 0
    yield Statistic("mean in the lesion (HU)", float(hu[inside].mean()), 0.25)
    yield Statistic("spread in the lesion (HU)", float(hu[inside].std()), 0.25)
    yield Statistic("voxels changed outside it", float((hu != _hu(case.ct))[~inside].sum()), 0.0)


def _hu(volume: Volume) -> np.ndarray:
    return volume.voxels.astype(np.float64)


# a task's function has its name, as its module has
MEASURED: dict[str, Callable[[SelfTestCase, Model, ProgressCallback | None], Iterable[Statistic]]] = {
    task: globals()[name] for task in TASKS if (name := f"_{task.replace('-', '_')}") in globals()
}
