"""A picture of what each task makes of the repository's real CT with a model, to be looked at.

`meddiff-fm demo` makes the one of denoising.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.anatomy.lesion_masks import place_lesion
from MedDiffFMLib.anatomy.tissue import BodyImage, body_mask, complete_labels, find_tissue
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.progress import ProgressCallback
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies
from MedDiffFMLib.tasks.generate_lesion import generate_lesion
from MedDiffFMLib.tasks.inpaint_lesion import inpaint_lesion
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.tasks.synthesize import synthesize
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume, to_ras

from ..cases.slice_pairs import thick_slices
from ..cases.volumes import testing_data
from ..reports.pictures import PictureRow, middle_of, slices_picture

SOFT, LUNG = (-160.0, 240.0), (-1100.0, 300.0)
THICK = 4  # slices averaged into one
LESION_MM = 24.0


def _data() -> Path:
    return testing_data("clone the project, and install it from its folder with pip install -e '.[training]'")


def chest() -> Volume:
    return read_volume(_data() / "chest_ts_aorta.nii.gz")


def chest_with_organs() -> tuple[Volume, Volume]:
    """The CT and its heart, aorta, great vessels and one vertebra."""
    ct = chest()
    return ct, read_anatomy(_data() / "chest_ts_aorta_seg.nii.gz", like=ct)


def abdomen() -> tuple[Volume, Volume]:
    """The CT and its organs."""
    ct = read_volume(_data() / "abd_ts_example.nii.gz")
    return ct, read_anatomy(_data() / "abd_ts_example_seg.nii.gz", like=ct)


def tissue(ct: Volume) -> Volume:
    """Body, lungs, bones and gas of a CT in LPS order, as a label map."""
    body = body_mask(ct.voxels)
    return ct.with_voxels(find_tissue(BodyImage(ct.voxels, ct.spacing[::-1], body)))


def picture_of_detection(model: Model, path: Path, progress: ProgressCallback | None) -> str:
    """Draw the map in the liver of a CT without known lesions, and of the same CT with a ball 60 HU darker."""
    ct, organs = abdomen()
    ball = place_lesion(organs, (5,), 30.0, seed=3)
    changed = ct.with_voxels((ct.voxels - 60 * ball.voxels).astype(np.int16))
    rows, summaries = [], []
    for title, volume in (("as it is", ct), ("a ball made darker", changed)):
        result = detect_anomalies(volume, model, organs, progress, organ="liver")
        rows.append(PictureRow(volume, f"liver, {title}", SOFT, result.map, 60.0, outline=result.mask))
        summaries.append(result.summary())
    slices_picture(rows, path, center(ball))
    return "; ".join(summaries)


def picture_of_synthesis(model: Model, path: Path, progress: ProgressCallback | None) -> str:
    """Two real CTs, and synthetic CTs made from their organs and tissues."""
    rows, summaries = [], []
    for (real, organs), region, hu in ((abdomen(), "abdomen", SOFT), (chest_with_organs(), "chest", LUNG)):
        labels = organs.with_voxels(complete_labels(organs.voxels, tissue(real).voxels))
        result = synthesize(labels, model, progress, region=region)
        middle = tuple(middle_of(real))
        rows += [PictureRow(real, f"{region}, real", hu, center_ras=middle)]
        rows += [PictureRow(result.volumes[0], f"{region}, synthetic", hu, center_ras=middle)]
        summaries.append(result.summary())
    slices_picture(rows, path)
    return "; ".join(summaries)


def picture_of_super_resolution(model: Model, path: Path, progress: ProgressCallback | None) -> str:
    """A chest, four of its slices averaged, and thin slices made of those."""
    ct = chest()
    thick = thick_slices(ct, THICK)
    result = super_resolve(thick, model, progress=progress, factor=THICK, region="chest")
    mm = f"{thick.spacing[2]:g} mm"
    rows = [PictureRow(ct, f"real, {ct.spacing[2]:g} mm", LUNG), PictureRow(thick, f"averaged to {mm}", LUNG)]
    slices_picture([*rows, PictureRow(result.volume, f"made of the {mm}", LUNG)], path)
    return result.summary()


def picture_of_inpainting(model: Model, path: Path, progress: ProgressCallback | None) -> str:
    """A lesion drawn into the lung of a chest, by two seeds."""
    ct = chest()
    mask = place_lesion(tissue(ct), (119,), LESION_MM, seed=1)
    result = inpaint_lesion(ct, mask, model, progress=progress, samples=2, region="chest")
    titles = [f"with a lesion, seed {seed}" for seed in result.facts.seeds]
    rows = [PictureRow(ct, "real, the mask outlined", LUNG, outline=mask)]
    rows += [PictureRow(v, t, LUNG) for v, t in zip(result.volumes, titles, strict=True)]
    slices_picture(rows, path, center(mask))
    return result.summary()


def picture_of_generation(model: Model, path: Path, progress: ProgressCallback | None) -> str:
    """A synthetic chest with a lesion, made of body, lungs and bones of a real one."""
    ct = chest()
    labels = tissue(ct)
    mask = place_lesion(labels, (119,), LESION_MM, seed=1)
    result = generate_lesion(labels, mask, model, progress, region="chest")
    rows = [
        PictureRow(ct, "real, the mask outlined", LUNG, outline=mask),
        PictureRow(result.volumes[0], "synthetic, with a lesion", LUNG),
    ]
    slices_picture(rows, path, center(mask))
    return result.summary()


def center(mask: Volume) -> tuple[float, float, float]:
    """The middle of a mask in mm, RAS."""
    return to_ras(mask, np.argwhere(mask.voxels > 0).mean(axis=0))


PICTURES: dict[str, Callable[[Model, Path, ProgressCallback | None], str]] = {
    "detect-anomalies": picture_of_detection,
    "synthesize": picture_of_synthesis,
    "super-resolve": picture_of_super_resolution,
    "inpaint-lesion": picture_of_inpainting,
    "generate-lesion": picture_of_generation,
}


def make_gallery(
    folder: Path, model: Model, tasks: list[str], progress: ProgressCallback | None = None
) -> Iterator[tuple[Path, str]]:
    """Write a picture, TASK.png, of each of `tasks` (names in `PICTURES`); yields the file and the task's summary.
    InputError if the repository's CTs are not there.
    """
    _data()
    for task in tasks:
        path = folder / f"{task}.png"
        yield path, PICTURES[task](model, path, progress)
