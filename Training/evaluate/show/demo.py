"""`meddiff-fm demo`: a real chest CT, the same as less dose would show it, and what the model makes of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.atomic import check_place
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.parameters.denoise import FULL_STRENGTH
from MedDiffFMLib.volumes.noise_level import estimate_noise
from MedDiffFMLib.volumes.volume import Volume

from ..cases.volumes import TESTING_DATA, Dose, LowDoseCase, load_case
from ..metrics.psnr_ssim import quality

CASE, REGION = "chest_ts_aorta", "chest"  # never trained on
SLICES = 64
DISPLAY_HU = (-150.0, 450.0)  # width 600, level 150: soft tissue and contrast medium, where noise shows
NAMES = ("full_dose", "low_dose", "denoised")


def run_demo(output: Path, model_name: str | None = None, device: str = "auto", seed: int = 0) -> None:
    """Simulate, denoise, measure and write `demo_{full_dose,low_dose,denoised}.nii.gz` and `demo.png` into `output`.

    The CT is the repository's, and where there is no repository the smaller one that comes with the package. Earlier
    results of the demo are replaced. InputError if a model or a package is missing.
    """
    from MedDiffFMLib.models.loading import load_model
    from MedDiffFMLib.self_test.measure import FOLDER as SMALL
    from MedDiffFMLib.tasks.denoise import denoise

    whole = TESTING_DATA / f"{CASE}.nii.gz"
    file = whole if whole.is_file() else SMALL / "ct.nii.gz"
    _make_folder(output)
    model = load_model(model_name, device=device)
    print(f"Simulating low dose of a real chest CT ({SLICES} slices at most) …", flush=True)
    case = _as_scanners_store(load_case(file, REGION, SLICES, Dose(seed=seed)))
    from MedDiffFMLib.cli.bar import progress_bar

    with progress_bar("Denoise") as progress:
        result = denoise(case.low, model, progress=progress, region=REGION, seed=seed, strength=FULL_STRENGTH)
    volumes = dict(zip(NAMES, (case.full, case.low, result.volume), strict=True))
    print_table(case, volumes)
    write(volumes, output, model.name)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made ({error.strerror}); name another one.") from None
    check_place(folder / "demo.png")


def _as_scanners_store(case: LowDoseCase) -> LowDoseCase:
    """Whole HU, int16."""
    full, low = (volume.with_voxels(np.rint(volume.voxels).astype(np.int16)) for volume in (case.full, case.low))
    return replace(case, full=full, low=low)


def print_table(case: LowDoseCase, volumes: dict[str, Volume]) -> None:
    """Noise in HU, PSNR and SSIM of the three volumes."""
    from rich import print as show
    from rich.table import Table

    low, high = case.window
    table = Table("", "noise (HU)", "PSNR (dB)", "SSIM", caption=f"PSNR and SSIM: body, {low:g} … {high:g} HU")
    body = body_mask(case.full.voxels)
    for name, volume in volumes.items():
        noise = estimate_noise(volume.voxels, body, volume.spacing[::-1])
        row = [name.replace("_", " "), "–" if noise is None else f"{noise:.1f}"]
        if name == "full_dose":
            row += ["reference", ""]
        else:
            reached = quality(volume.voxels, case.full.voxels, body, case.window)
            row += [f"{reached.psnr:.2f}", f"{reached.ssim:.3f}"]
        table.add_row(*row)
    show(table)


def write(volumes: dict[str, Volume], output: Path, model_name: str) -> None:
    """The volumes and the picture; each file is replaced only when it is complete."""
    from MedDiffFMLib.volumes.io import write_volume

    for name, volume in volumes.items():
        write_volume(volume, output / f"demo_{name}.nii.gz", overwrite=True)
    picture, part = output / "demo.png", output / ".demo.part.png"
    try:
        draw(volumes, model_name, part)
        part.replace(picture)
    finally:
        part.unlink(missing_ok=True)
    print(f"Wrote {', '.join(f'demo_{name}.nii.gz' for name in volumes)} and demo.png to {output}")


def draw(volumes: dict[str, Volume], model_name: str, file: Path) -> None:
    """A PNG: full dose, low dose, denoised and what was removed; an axial and a coronal slice from the middle.

    Volumes are in LPS order, so rows run to posterior and columns to the patient's left: as radiologists look.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    full, low, denoised = (volumes[name].voxels.astype(np.float32) for name in NAMES)
    x, y, z = volumes["full_dose"].spacing
    panels = {"full dose": full, "low dose (simulated)": low, f"denoised ({model_name})": denoised}
    panels["removed (low dose − denoised)"] = low - denoised
    middle_z, middle_y = full.shape[0] // 2, full.shape[1] // 2
    heights = [full.shape[1] * y, full.shape[0] * z]
    width = full.shape[2] * x
    figure = Figure(figsize=(14, 14 / 4 * sum(heights) / width + 0.7), facecolor="black", layout="constrained")
    axes = figure.subplots(2, 4, height_ratios=heights)
    for column, (title, hu) in enumerate(panels.items()):
        low_hu, high_hu = (-150, 150) if column == 3 else DISPLAY_HU
        gray = {"cmap": "gray", "vmin": low_hu, "vmax": high_hu, "interpolation": "nearest"}
        axes[0, column].imshow(hu[middle_z], aspect=y / x, **gray)
        axes[1, column].imshow(hu[:, middle_y], aspect=z / x, origin="lower", **gray)
        axes[0, column].set_title(f"{title}\n{low_hu:g} … {high_hu:g} HU", color="white", fontsize=11)
        for row, top in enumerate(("A", "S")):
            _mark_sides(axes[row, column], top)
    FigureCanvasAgg(figure).print_png(file)


def _mark_sides(axis, top: str) -> None:
    """R, L and what is on top, in the panel's margins."""
    axis.set_axis_off()
    for label, x, y in (("R", 0.02, 0.5), ("L", 0.95, 0.5), (top, 0.48, 0.94)):
        axis.text(x, y, label, color="yellow", fontsize=9, transform=axis.transAxes)
