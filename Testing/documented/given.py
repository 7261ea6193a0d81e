"""What each document takes for granted: the data of its reader, in small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import raw_data
import SimpleITK as sitk
import workspace
from tiny_model import save_full_tiny_model


def write_given(document: str, folder: Path) -> None:
    """Make the new folder of a document: recipes in small, and what it takes for granted."""
    workspace.make_recipes(folder)
    for write in GIVEN[document].values():
        write(folder)


def _own(*more: str) -> Callable[[Path], None]:
    return lambda folder: raw_data.write_own(folder / "DATA", (*raw_data.OWN, *more))


def _raw(*names: str) -> Callable[[Path], None]:
    return lambda folder: raw_data.write_raw_folders(folder / "raw", names)


def _model(folder: Path) -> None:
    save_full_tiny_model(folder / "my-model")


def _scans(folder: Path) -> None:
    """A folder of scans; masks and organs by their names."""
    for name in ("chest1", "chest2"):
        image, organs = raw_data.with_organs(raw_data.ct_of("chest"))
        files = {"scans": image, "masks": raw_data.ball(image, 1), "organs": organs}
        for kind, one in files.items():
            (folder / kind).mkdir(exist_ok=True)
            sitk.WriteImage(one, str(folder / kind / f"{name}.nii.gz"))


def _files_of_a_user(folder: Path) -> None:
    image, organs = raw_data.with_organs(raw_data.ct_of("chest"))
    sitk.WriteImage(image, str(folder / "scan.nii.gz"))
    sitk.WriteImage(raw_data.thick(image), str(folder / "thick.nii.gz"))
    sitk.WriteImage(organs, str(folder / "organs.nii.gz"))


def _pairs(folder: Path) -> None:
    """A pair of full and low dose, and their list."""
    full = raw_data.ct_of("abdomen")
    for name, image in (("full", full), ("low", raw_data.noisier(full))):
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    (folder / "pairs.csv").write_text("low,full,region\nlow.nii.gz,full.nii.gz,abdomen\n", encoding="utf-8")


OWN, MODEL = {"DATA": _own()}, {"my-model": _model}
SCANS = {"scans masks organs": _scans}
GIVEN: dict[str, dict[str, Callable[[Path], None]]] = {  # by document: names, and the function that writes them
    "Docs/reproducing-the-paper.md": {"raw": _raw(*raw_data.LAYOUTS, "BMAD")},
    "Training/README.md": OWN | {"raw": _raw("ct-rate", "msd-lung")},
    "Docs/training-on-one-gpu.md": OWN,
    "Docs/evaluation-restoration.md": MODEL
    | {"DATA": _own(*raw_data.MORE_OWN), "raw": _raw("BMAD"), "pairs.csv": _pairs},
    "Docs/evaluation-image-quality.md": MODEL | {"DATA": _own("sarcoma_sts028")},
    "Docs/evaluation-synthesis.md": OWN | MODEL | {"raw": _raw("msd-lung")},
    "Training/data/datasets.md": OWN | {"raw": _raw("msd-liver")},
    "README.md": SCANS | {"scan.nii.gz thick.nii.gz organs.nii.gz": _files_of_a_user},
    "Docs/batch.md": SCANS,
}


def names_given(document: str) -> set[str]:
    """The names of the files and folders that a document takes for granted."""
    return {"Training", *" ".join(GIVEN[document]).split()}
