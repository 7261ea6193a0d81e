"""A task of the tests: whatever a task may have (a second input, samples, a map, a mask, a table), and no network.

`register` puts it among the real ones, so that all that is made for every task can be tried with it.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass

import numpy as np

from MedDiffFMLib import parameters
from MedDiffFMLib.parameters import FileSlot, Parameters
from MedDiffFMLib.parameters.common import CT, OUTPUT, anatomy_parameter, region_parameter, samples_parameter
from MedDiffFMLib.progress import Reporter

SEEN: list[dict] = []  # what the task was given


@dataclass(frozen=True)
class ToyParameters(Parameters):
    """Add one HU."""

    files = (
        CT,
        FileSlot("lesion_mask", "mask", "Lesion."),
        OUTPUT,
        FileSlot("map", "map", "Scores.", output=True, optional=True),
        FileSlot("mask", "mask", "Mask.", output=True, optional=True),
        FileSlot("findings", "table", "Findings.", output=True, optional=True),
    )
    region: str = region_parameter()
    anatomy: str = anatomy_parameter()
    samples: int = samples_parameter()


@dataclass(frozen=True)
class ToyResult:
    made: dict
    facts: dict

    def outputs(self) -> dict:
        return self.made

    def summary(self) -> str:
        return "Added"


def toy(volume, lesion_mask, model=None, anatomy="auto", progress=None, region="auto", samples=1) -> ToyResult:
    SEEN.append({"volume": volume, "mask": lesion_mask, "anatomy": anatomy, "region": region, "model": model})
    reporter = Reporter(progress)
    reporter.begin(1, 1, show=lambda x0: volume)
    reporter.step(0, 0, volume)
    ones = volume.with_voxels(np.ones(volume.voxels.shape, np.float32))
    made = {
        "output": [volume.with_voxels(volume.voxels + np.int16(n)) for n in range(1, samples + 1)],
        "map": [ones] * samples,
        "mask": [ones.with_voxels(ones.voxels.astype(np.uint8))] * samples,
        "findings": [{"organ": "liver", "volume_ml": 1.5}],
    }
    return ToyResult(made, {"region": region})


def register(monkeypatch) -> None:
    SEEN.clear()
    module = types.ModuleType("MedDiffFMLib.tasks.toy")
    module.toy = toy
    monkeypatch.setitem(sys.modules, "MedDiffFMLib.tasks.toy", module)
    monkeypatch.setitem(parameters.TASKS, "toy", ToyParameters)
