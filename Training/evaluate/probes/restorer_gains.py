"""What a restorer in training gains on patients that it does not learn from, with noise that it does not learn from.

The noise is that of the second simulator (`data.fan_dose`), of which no training knows anything, four strengths in
parts of five patients; beside it stands non-local means in 3D with the best of several strengths, chosen anew for each,
knowing the truth.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.networks.restorer import Restorer
from MedDiffFMLib.refinement.noise_inputs import NoiseInputs
from MedDiffFMLib.refinement.noise_map import scan_noise

from ...data.fan_dose import simulate_by_fan
from ...data.store import Case
from ..baselines.classical import denoise_classically

PARTS = {  # their middle slice, as a share of the body, and the kernel of their noise: sharp, standard or soft
    "hn_cerr1": (0.3, "shepp-logan"),
    "head_gate2mm": (0.6, "shepp-logan"),
    "chest_ricord1012": (0.5, "hann"),
    "chest_ricord1012_thin": (0.5, "ram-lak"),
    "abd_cortliver": (0.55, "shepp-logan"),
    "sarcoma_sts028": (0.5, "hann"),
}
SIGMAS_HU = (8.0, 12.0, 30.0, 60.0)
SLICES, EDGE = 12, 176
SEED = 977
OWN_NOISE = 1.5  # with less than so many times the truth's own noise, a method that removes both would count as worse
STRENGTHS = {"nlm": (0.6, 0.8), "nlm3": (0.85, 1.0)}  # of non-local means, see `classical`


@dataclass(frozen=True)
class ValidationPart:
    """A part of a patient. truth: HU, float32 (Z, Y, X); low_dose: the same with the noise of each of SIGMAS_HU, in
    their order, (4, Z, Y, X); body: bool (Z, Y, X); spacing: mm (z, y, x); own_noise_hu: that of the truth.
    """

    name: str
    truth: np.ndarray
    low_dose: np.ndarray
    body: np.ndarray
    spacing: tuple[float, float, float]
    own_noise_hu: float

    @property
    def sigmas_hu(self) -> list[float]:
        """The noises of SIGMAS_HU that are large enough beside the truth's own."""
        return [sigma for sigma in SIGMAS_HU if sigma >= OWN_NOISE * self.own_noise_hu]

    def noisy(self, sigma_hu: float) -> np.ndarray:
        """The part with noise of sigma_hu, one of SIGMAS_HU, in soft tissue."""
        return self.low_dose[SIGMAS_HU.index(sigma_hu)]

    def gain(self, result: np.ndarray, sigma_hu: float) -> float:
        """How much smaller the errors in the body are than the noise was, in dB."""
        before, after = (float(np.mean((x - self.truth)[self.body] ** 2)) for x in (self.noisy(sigma_hu), result))
        return 10 * math.log10(before / max(after, 1e-9))


def open_parts(cases: list[Case], folder: Path) -> list[ValidationPart]:
    """The parts whose patients a store's validation split has; made once and kept in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    named = [case for case in cases if case.facts.name in PARTS]
    for case in named:
        file = folder / f"{case.facts.name}.npz"
        if not file.exists():
            made = _make(case, *PARTS[case.facts.name])
            np.savez(file, truth=made.truth, low_dose=made.low_dose, body=made.body)
    return [_read(case, folder / f"{case.facts.name}.npz") for case in named]


def _make(case: Case, height: float, kernel: str) -> ValidationPart:
    (z0, z1), *plane = case.body_box
    first = round(z0 + height * (z1 - z0)) - SLICES // 2
    hu = case.hu[slice(first, first + SLICES), slice(None), slice(None)].astype(np.float32)
    low = [simulate_by_fan(hu, case.facts.spacing[1], sigma, SEED, kernel) for sigma in SIGMAS_HU]
    body = body_mask(hu)
    middle = [(a + b) // 2 for a, b in plane]
    window = tuple(slice(max(0, m - EDGE // 2), m + EDGE // 2) for m in middle)
    part = (slice(None), *window)
    low_dose = np.stack([one[part] for one in low])
    return ValidationPart(case.facts.name, hu[part], low_dose, body[part], case.facts.spacing, case.facts.noise_hu)


def _read(case: Case, file: Path) -> ValidationPart:
    with np.load(file, allow_pickle=False) as arrays:
        images = {name: arrays[name] for name in arrays}
    return ValidationPart(case.facts.name, **images, spacing=case.facts.spacing, own_noise_hu=case.facts.noise_hu)


def non_local_means_gains(parts: list[ValidationPart], file: Path) -> dict[str, float]:
    """The best gain of non-local means for each part and σ; kept in a file."""
    if not file.exists():
        gains = _gains(parts, _best_non_local_means)
        file.write_text(json.dumps(gains, indent=1), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def _best_non_local_means(part: ValidationPart, sigma_hu: float) -> float:
    noisy = part.noisy(sigma_hu)
    results = (
        denoise_classically(tool, noisy, sigma_hu, {"h_factor": strength})
        for tool, strengths in STRENGTHS.items()
        for strength in strengths
    )
    return max(part.gain(result, sigma_hu) for result in results)


def restorer_gains(parts: list[ValidationPart], restorer: Restorer, mirrored: int = 1) -> dict[str, float]:
    """The restorer's gain for each part and σ, and their mean. It is given σ, as non-local means are."""
    device = next(restorer.parameters()).device

    def gain(part: ValidationPart, sigma_hu: float) -> float:
        noisy, body = torch.from_numpy(part.noisy(sigma_hu)).to(device), torch.from_numpy(part.body).to(device)
        inputs = NoiseInputs(noisy, *scan_noise(noisy, part.spacing, sigma_hu, body), part.spacing)
        with torch.inference_mode():
            return part.gain(inputs.restored(restorer, mirrored).cpu().numpy(), sigma_hu)

    return _gains(parts, gain)


def _gains(parts: list[ValidationPart], gain: Callable[[ValidationPart, float], float]) -> dict[str, float]:
    found = {f"{part.name} {sigma:g} HU": gain(part, sigma) for part in parts for sigma in part.sigmas_hu}
    return {name: round(value, 3) for name, value in found.items()} | {
        "mean": round(float(np.mean([*found.values()])), 3)
    }
