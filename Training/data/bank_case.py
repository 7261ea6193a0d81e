"""The noise of one case in a noise bank: simulated at the sharpest kernel, for a dose of its own.

    OUT/CASE-K/noise.npy      float16 (slices, Y, X): noise, its standard deviation in the body about 1
    OUT/CASE-K/strength.npy   float16, of the same shape: `noise_texture.log_strength` of the anatomy it came with
    OUT/CASE-K/facts.json     `Draw`: the pixels, and what was drawn for it

Slices are neighbors, or about 5 mm apart, so that the noise changes from one to the next as it does in a scan. It is
independent in each, as in slices that do not overlap.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from MedDiffFMLib.errors import InputError

from .noise_texture import log_strength
from .quanta import STARVED, bowtie, expected_quanta, log_noise, tube_current
from .scanner import Scanner
from .store import Case

BANK_SEEDS = 0x62616E6B  # the seeds of the bank: none of them is one of an evaluation
VIEWS, PATH_VIEWS = 360, 90  # over 180°; path attenuation changes slowly with the angle
DOSES = (2e4, 6e4, 2e5)  # N₀, quanta of a ray on the axis without a patient
DETECTOR = (0.6, 1.2)  # pixels between two rays
BOWTIE_MM = (90.0, 180.0)  # the radius of the cylinder that the bowtie fits
SLICE_MM = 5.0
BODY_HU = -400.0
KERNEL = "ram-lak"


@dataclass(frozen=True)
class Draw:
    """What was drawn for a case. quanta: N₀; bowtie_mm: a radius; modulation: of the tube current, 0 for none; starved:
    the share of its rays with fewer than ten quanta; sigma_hu: the noise in the body at the sharp kernel.
    """

    case: str
    spacing: tuple[float, float, float]
    quanta: float
    detector_mm: float
    bowtie_mm: float
    modulation: float
    starved: float = 0.0
    sigma_hu: float = 0.0


def bank_seed(name: str, draw: int, *further: int) -> np.random.Generator:
    """The random numbers of one draw of a case, by its name: others than any evaluation's."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([BANK_SEEDS, int.from_bytes(digest[:8]), draw, *further])


def make_bank_case(case: Case, out: Path, draw: int, slices: int) -> Draw | None:
    """Simulate noise for up to `slices` of a case and write it to `out`, whole or not at all; None if it was there.

    InputError unless the case is on its scan's own axial slices with square pixels.
    """
    target = Path(out) / f"{case.facts.name}-{draw}"
    if (target / "facts.json").exists():
        return None
    settings, whole = draw_settings(case, draw), case.hu.box()
    hu = whole[chosen_slices(settings, draw, len(whole), slices)].astype(np.float32)
    noise, starved = simulate(hu, settings, draw)
    body = hu > BODY_HU
    sigma = float(noise[body].std())
    arrays = {"noise": noise / sigma, "strength": log_strength(hu, settings.spacing[1])}
    facts = Draw(**asdict(settings) | {"starved": starved, "sigma_hu": sigma})
    _write(target, facts, arrays)
    return facts


def draw_settings(case: Case, draw: int) -> Draw:
    """The scanner and the dose of one draw of a case. InputError unless its pixels are square."""
    _, y, x = case.facts.spacing
    if not math.isclose(x, y, rel_tol=1e-3):
        raise InputError(
            f"Low dose is simulated in square pixels, but those of {case.facts.name} are {x:g} × {y:g} mm."
        )
    rng = bank_seed(case.facts.name, draw)
    dose = bank_seed(case.facts.name, 0).permutation(DOSES)[draw % len(DOSES)]
    detector, radius, modulation = (rng.uniform(*span) for span in (DETECTOR, BOWTIE_MM, (0.0, 0.8)))
    return Draw(case.facts.name, case.facts.spacing, float(dose), detector * x, radius, modulation)


def chosen_slices(settings: Draw, draw: int, depth: int, most: int) -> slice:
    """At most `most` of `depth` slices, neighbors or about `SLICE_MM` apart, from a random one on."""
    step = max(1, min(round(SLICE_MM / settings.spacing[0]), depth // most))
    span = min(most * step, depth)
    first = int(bank_seed(settings.case, draw, depth).integers(depth - span + 1))
    return slice(first, first + span, step)


def simulate(hu: np.ndarray, settings: Draw, draw: int = 0) -> tuple[np.ndarray, float]:
    """The noise of slices (Z, Y, X) in HU, float32, and the share of their rays that starved."""
    scanner = Scanner(hu.shape[1:], settings.spacing[1], KERNEL, settings.detector_mm)
    paths = [scanner.path_attenuation(one, PATH_VIEWS) for one in hu]
    reference = float(np.mean([path.max(axis=1).mean() for path in paths]))
    filter_, starved = bowtie(scanner.offsets_mm, settings.bowtie_mm), []
    noise = np.empty(hu.shape, np.float32)
    for z, path in enumerate(paths):
        current = tube_current(path, settings.modulation, reference)
        quanta = expected_quanta(path, settings.quanta, filter_ * current)
        starved.append(float(np.mean(quanta < STARVED)))
        quanta = np.repeat(quanta, VIEWS // PATH_VIEWS, axis=0)
        white = bank_seed(settings.case, draw, z).standard_normal(quanta.shape, dtype=np.float32)
        noise[z] = scanner.reconstruct(log_noise(quanta, white))
    return noise, float(np.mean(starved))


def _write(target: Path, facts: Draw, arrays: dict[str, np.ndarray]) -> None:
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(part / f"{name}.npy", array.astype(np.float16))
    (part / "facts.json").write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")
    os.replace(part, target)
