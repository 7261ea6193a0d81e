"""Raw folders in small: the repository's CT in the layout of data sets of the paper, and of the project's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from data_set_layouts import LAYOUTS, laid_out

from MedDiffFMLib.volumes.dicom.writing import write_series
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.data.split import TEST, split_of

DATA = Path(__file__).parents[1] / "Data"
RECORD = {"task": "denoise", "synthetic": False, "model": {"name": "tiny", "sha256": "0" * 64}}
OWN = {  # of the project's own data: region, and what number a lesion has in its mask
    "abd_crlm1004": ("abdomen", None),
    "chest_lungfcp01": ("chest", None),
    "head_aquilion2": ("head-neck", None),
    "abd_ts_example": ("abdomen", None),
    "chest_lidc0314": ("chest", 1),
    "chest_nsclc001": ("chest", 1),
    "chest_ricord1012_thin": ("chest", None),
    "sarcoma_sts015": ("abdomen", 1),
}
MORE_OWN = {
    "hn_cerr1": ("head-neck", None),
    "head_gate2mm": ("head-neck", None),
    "chest_ricord1012": ("chest", None),
    "abd_cortliver": ("abdomen", None),
    "sarcoma_sts028": ("abdomen", None),
    "sarcoma_sts047": ("abdomen", None),
    "chest_lidc0314_thin": ("chest", 1),
    "chest_lungpat1": ("chest", 1),
    "chest_lungpat2": ("chest", 1),
    "sarcoma_sts018": ("abdomen", 1),
    "sarcoma_sts036": ("abdomen", 1),
    "sarcoma_sts040": ("abdomen", 1),
}
ORGANS_OF = "abd_ts_example"  # whose mask holds organs
LIVER, LUNG = 5, 10  # TotalSegmentator's numbers
FACTOR = 5  # of the thick slices in pairs
_numbers = count(1)


def write_raw_folders(folder: Path, names: Sequence[str]) -> None:
    """Write the folders of data sets of the paper as their owners' archives unpack: BMAD, or names of `LAYOUTS`."""
    for name in names:
        if name == "BMAD":
            write_bmad(folder / "BMAD" / "liver")
            continue
        _, region, lines = LAYOUTS[name]
        raw = laid_out(folder / name, name)
        for _, path, _, further in lines:
            _write_case(raw, path, region, further)
        MORE.get(name, lambda raw: None)(raw)


def ct_of(region: str) -> sitk.Image:
    """A piece of the repository's chest or abdomen, 40 slices of 1.5 mm, with noise of its own: no two are copies."""
    name, corner = ("chest_ts_aorta", (20, 30, 60)) if region == "chest" else ("abd_ts_example", (25, 25, 50))
    image = sitk.ReadImage(str(DATA / f"{name}.nii.gz"))
    x, y, z = corner
    piece = image[x : x + 60, y : y + 60, z : z + 40]
    hu = sitk.GetArrayFromImage(piece) + np.random.default_rng(next(_numbers)).normal(0, 12, (40, 60, 60))
    hu[:, :4], hu[:, -4:] = (np.random.default_rng(0).normal(-1000, 12, (40, 4, 60)) for _ in range(2))  # air around
    made = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
    made.SetSpacing((1.5, 1.5, 1.5))
    return made


def _write_case(raw: Path, path: str, region: str, further: dict[str, str]) -> None:
    image = ct_of(region)
    _write(image, raw / path)
    if "lesion" in further:
        numbers = further.get("lesion_labels") or "1"
        _write(ball(image, int(numbers.split()[0])), raw / further["lesion"])
    if "pair" in further:
        _write(thick(image) if "5mm" in further["pair"] else noisier(image), raw / further["pair"])


def _write(image: sitk.Image, path: Path) -> None:
    """The image as a file, or as a DICOM series where the data set has a folder there."""
    if not path.is_dir():
        return sitk.WriteImage(image, str(path))
    shutil.rmtree(path)
    return write_series(Volume.from_sitk(image), path, RECORD)


def ball(image: sitk.Image, number: int) -> sitk.Image:
    """A mask of 9 mm in the middle of soft tissue or lung."""
    z, y, x = np.indices(image.GetSize()[::-1])
    ball = (z - 20) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 < 9
    mask = sitk.GetImageFromArray((ball * number).astype(np.uint8))
    mask.CopyInformation(image)
    return mask


def with_organs(image: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """The CT with a body of two halves, lung and liver by their HU, and its label map: a lesion of 20 mm fits in."""
    hu, half = sitk.GetArrayFromImage(image), image.GetSize()[0] // 2
    labels = np.zeros(hu.shape, np.uint8)
    labels[:, 4:-4, :half], labels[:, 4:-4, half:] = LUNG, LIVER
    grain = np.random.default_rng(next(_numbers)).normal(0, 12, hu.shape)
    hu = np.where(labels == LUNG, -850 + grain, np.where(labels == LIVER, 60 + grain, hu))
    made = [sitk.GetImageFromArray(array) for array in (np.rint(hu).astype(np.int16), labels)]
    for one in made:
        one.CopyInformation(image)
    return made[0], made[1]


def noisier(image: sitk.Image) -> sitk.Image:
    noise = np.random.default_rng(next(_numbers)).normal(0, 40, image.GetSize()[::-1])
    made = sitk.GetImageFromArray(np.rint(sitk.GetArrayFromImage(image) + noise).astype(np.int16))
    made.CopyInformation(image)
    return made


def thick(image: sitk.Image) -> sitk.Image:
    """The means of each `FACTOR` slices."""
    hu = sitk.GetArrayFromImage(image)
    made = sitk.GetImageFromArray(np.rint(hu.reshape(-1, FACTOR, *hu.shape[1:]).mean(axis=1)).astype(np.int16))
    x, y, z = image.GetSpacing()
    made.SetSpacing((x, y, z * FACTOR))
    made.SetOrigin((0, 0, (FACTOR - 1) / 2 * z))
    return made


def _more_of_amos(raw: Path) -> None:
    """A patient of Table I whom the split puts on the test's side."""
    tested = next(n for n in count(2) if split_of(f"amos-2022-{n:04}") == TEST)
    _write(ct_of("abdomen"), raw / f"amos22/imagesTr/amos_{tested:04}.nii.gz")


def _more_of_msd_lung(raw: Path) -> None:
    """Nine patients more, of whom two are for testing."""
    for number in range(2, 11):
        image = ct_of("chest")
        for kind, one in (("imagesTr", image), ("labelsTr", ball(image, 1))):
            _write(one, raw / f"Task06_Lung/{kind}/lung_{number:03}.nii.gz")


MORE = {"amos-2022": _more_of_amos, "msd-lung": _more_of_msd_lung}


def write_bmad(folder: Path) -> None:
    """Two stacks of gray slices with black around, one slice with a lesion."""
    liver = np.zeros((40, 40), np.uint8)
    liver[8:32, 8:32] = 102
    sick, label = liver.copy(), np.zeros_like(liver)
    sick[14:20, 14:20], label[14:20, 14:20] = 51, 255
    pictures = {"good/img/1_09": liver, "good/img/2_01": liver, "Ungood/img/1_10": sick, "Ungood/label/1_10": label}
    for name, pixels in pictures.items():
        path = folder / "test" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))


def write_own(folder: Path, names: Iterable[str]) -> None:
    """The project's own form: volumes, masks, index.json, labels.json. names: of `OWN` and `MORE_OWN`."""
    folder.mkdir(parents=True)
    index, labels = {}, {}
    for name in names:
        region, lesion = (OWN | MORE_OWN)[name]
        image = ct_of(region)
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
        index[name] = {"region": region}
        if name == ORGANS_OF:
            image, organs = with_organs(image)
            sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
            sitk.WriteImage(organs, str(folder / f"{name}_seg.nii.gz"))
            labels[name] = {str(LIVER): "liver", str(LUNG): "lung_upper_lobe_left"}
        if lesion:
            sitk.WriteImage(ball(image, lesion), str(folder / f"{name}_seg.nii.gz"))
            labels[name] = {str(lesion): "tumor"}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
