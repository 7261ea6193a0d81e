"""The volumes that are compared on: a slab of axial slices with its region, HU window and simulated low dose."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume

from ...data import fan_dose, low_dose

TESTING_DATA = Path(__file__).resolve().parents[3] / "Testing" / "Data"

# The region's HU window that is compared in, and the noise that is simulated, in HU
PROTOCOL = {
    "head-neck": ((-150.0, 250.0), 30.0),
    "chest": ((-1400.0, 400.0), 60.0),
    "abdomen": ((-160.0, 240.0), 30.0),
}
TEST = {"abd_crlm1004": "abdomen", "chest_lungfcp01": "chest", "head_aquilion2": "head-neck"}
# Validation patients whose own noise is low beside what is simulated; the limbs are measured in the abdomen's window
DENOISING = {
    "hn_cerr1": "head-neck",
    "head_gate2mm": "head-neck",
    "chest_ricord1012": "chest",
    "chest_ricord1012_thin": "chest",
    "abd_cortliver": "abdomen",
    "sarcoma_sts028": "abdomen",
    "sarcoma_sts047": "abdomen",
}
VALIDATION = {**DENOISING, "sarcoma_sts015": "abdomen"}  # that has 29 HU of noise itself, and rewards keeping noise
# How low dose can be simulated: that of training, and another that nothing was trained on; and its version
SIMULATORS = {
    "parallel": lambda: (low_dose.simulate_low_dose, low_dose.VERSION),
    "fan": lambda: (fan_dose.simulate_by_fan, fan_dose.VERSION),
}
REPOSITORY = {"chest_ts_aorta": "chest", "abd_ts_example": "abdomen"}
# What the bundled model was trained on (RUNS.md)
TRAINED_ON = set(
    """abd_acrin001b abd_cptacpda00189 abd_ts_example chest_acrin013 chest_cmbcrc01068 chest_lidc0314
    chest_lidc0314_thin chest_lungpat1 chest_lungpat2 chest_nsclc001 head_aquilion1 head_invesalius
    hn_acrin001a sarcoma_sts018 sarcoma_sts036 sarcoma_sts040""".split()
)


@dataclass(frozen=True)
class Dose:
    """A low dose to simulate. simulator: one of `SIMULATORS`; sigma_hu: its noise in soft tissue, None for the
    region's; kernel: the filter of the back-projection; seed: of the noise.
    """

    simulator: str = "parallel"
    sigma_hu: float | None = None
    kernel: str = "hann"
    seed: int = 0

    def sigma_in(self, region: str) -> float:
        """The noise in HU for a CT of a region."""
        return PROTOCOL[region][1] if self.sigma_hu is None else self.sigma_hu


@dataclass(frozen=True)
class LowDoseCase:
    """A full-dose slab (axial slices, z to superior) and the same with low dose, float32 HU on one grid.

    measured_hu: the noise of a real low dose, None where it was simulated, by `dose`. anatomy: the model's condition,
    as for the tasks.
    """

    name: str
    region: str
    full: Volume
    low: Volume
    measured_hu: float | None = None
    anatomy: Volume | str = "auto"
    dose: Dose = Dose()

    @property
    def real(self) -> bool:
        """Whether the low dose is a scan, and not simulated."""
        return self.measured_hu is not None

    @property
    def window(self) -> tuple[float, float]:
        return PROTOCOL[self.region][0]

    @property
    def sigma_hu(self) -> float:
        return self.dose.sigma_in(self.region) if self.measured_hu is None else self.measured_hu


def testing_data(otherwise: str) -> Path:
    """The folder of the repository's small CTs. InputError, with what to do `otherwise`, if this is no repository."""
    if not TESTING_DATA.is_dir():
        raise InputError(f"The small CTs for this lie in the project's folder and not in the package: {otherwise}.")
    return TESTING_DATA


def trained_on(name: str) -> bool:
    """Whether the bundled model saw this volume in training."""
    return name in TRAINED_ON


def starred(name: str) -> str:
    """A case's name, with a star if the bundled model was trained on it."""
    return f"{name} *" if trained_on(name) else name


def named_cases(
    names: str | None, default: dict[str, str], further: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """{name: region} of "NAME,NAME:REGION,...", `default` if nothing is named. InputError for an unknown one.

    further: regions that are known besides those of test, validation and the repository.
    """
    if not names:
        return default
    known, found = {**TEST, **VALIDATION, **REPOSITORY, **further}, {}
    for entry in filter(None, (part.strip() for part in names.split(","))):
        name, _, region = entry.partition(":")
        region = region or known.get(name, "")
        if region not in PROTOCOL:
            regions = ", ".join(PROTOCOL)
            raise InputError(f"The region of case {name!r} is not known; write {name}:REGION with one of {regions}.")
        found[name] = region
    if not found:
        raise InputError(f"--cases {names!r} names no case: write NAME or NAME:REGION, with commas.")
    return found


def find_volume(folder: Path | None, name: str) -> Path:
    """The path of NAME.nii.gz in a data folder, or of its sub-folder `ct`; without one of the repository's small CTs.
    InputError if there is none.
    """
    folder = folder or testing_data("name a folder of volumes, NAME.nii.gz, with --data")
    for place in (folder, folder / "ct"):
        if (file := place / f"{name}.nii.gz").is_file():
            return file
    raise InputError(f"There is no {name}.nii.gz in {folder}; name the folder of the volumes with --data.")


def load_case(
    file: Path,
    region: str,
    slices: int | None = None,
    dose: Dose = Dose(),
    cache: Path | None = None,
) -> LowDoseCase:
    """Read a CT, take its central `slices` (all if None) and simulate low dose. See `simulate_slab` for the cache."""
    from MedDiffFMLib.volumes.checks import check_ct
    from MedDiffFMLib.volumes.io import read_volume

    volume = read_volume(file)
    check_ct(volume)
    full = axial_slab(volume, slices)
    dose = replace(dose, sigma_hu=dose.sigma_in(region))
    low = full.with_voxels(simulate_slab(full, dose, cache))
    return LowDoseCase(Path(file).name.removesuffix(".nii.gz"), region, full, low, dose=dose)


def axial_slab(volume: Volume, slices: int | None = None) -> Volume:
    """The central `slices` of a volume, its axes ordered as LPS so that slices are axial; float32."""
    import SimpleITK as sitk

    image = sitk.Cast(sitk.DICOMOrient(volume.to_sitk(), "LPS"), sitk.sitkFloat32)
    count = min(slices or image.GetSize()[2], image.GetSize()[2])
    first = (image.GetSize()[2] - count) // 2
    slab = Volume.from_sitk(image[:, :, first : first + count], volume.source)
    axial = abs(volume.direction[8]) > 0.5  # the slices as stored are those of the slab
    return replace(slab, slice_thickness=volume.slice_thickness if axial else None)


def simulate_slab(full: Volume, dose: Dose, cache: Path | None = None) -> np.ndarray:
    """Low dose of a slab (float32 HU); taken from the folder `cache` if the same was simulated before.

    InputError unless the pixels are square.
    """
    x, y, _ = full.spacing
    if not math.isclose(x, y, rel_tol=1e-3):
        raise InputError(f"Low dose is simulated in square pixels, but those of {full.source} are {x:g} × {y:g} mm.")
    simulate, version = SIMULATORS[dose.simulator]()
    content = (full.voxels, x, dose, version)
    return load_or_make(cache, content, lambda: simulate(full.voxels, x, dose.sigma_hu, dose.seed, dose.kernel))


def load_or_make(folder: Path | None, content: Sequence, make) -> np.ndarray:
    """`make()`, or what it gave before for the same `content` (arrays and what has a `repr`), kept in `folder`."""
    if folder is None:
        return make()
    if Path(folder).is_file():
        raise InputError(f"{folder} is a file: name a folder that keeps what was simulated.")
    digest = hashlib.sha256()
    for part in content:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    file = Path(folder) / f"{digest.hexdigest()[:32]}.npy"
    if file.exists():
        return np.load(file, allow_pickle=False)
    result = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npy")
    np.save(part, result)
    part.replace(file)
    return result
