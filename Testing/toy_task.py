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
from MedDiffFMLib.tasks.facts import Facts
from MedDiffFMLib.volumes.volume import Volume

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
class ToyFacts(Facts):
    region: str


@dataclass(frozen=True)
class ToyResult:
    made: dict
    facts: ToyFacts

    def outputs(self) -> dict:
        return self.made

    def summary(self) -> str:
        return "Added"


def plan(volume, lesion_mask, params, model, reporter, anatomy="auto", for_estimate=False) -> ToyPlan:
    return ToyPlan(volume, lesion_mask, params, model, reporter, anatomy)


@dataclass
class ToyPlan:
    volume: Volume
    mask: Volume
    params: ToyParameters
    model: object
    reporter: Reporter
    anatomy: Volume | str

    def estimate(self) -> dict:
        return {"region": self.params.region, "network_evaluations": 1, "seconds_each": 0.5}

    def run(self) -> ToyResult:
        volume, samples, region = self.volume, self.params.samples, self.params.region
        asked = {"anatomy": self.anatomy, "region": region, "model": self.model}
        SEEN.append({"volume": volume, "mask": self.mask} | asked)
        self.reporter.begin(1, 1, make_preview=lambda x0: volume)
        self.reporter.step(0, 0, volume)
        ones = volume.with_voxels(np.ones(volume.voxels.shape, np.float32))
        made = {
            "output": [volume.with_voxels(volume.voxels + np.int16(n)) for n in range(1, samples + 1)],
            "map": [ones] * samples,
            "mask": [ones.with_voxels(ones.voxels.astype(np.uint8))] * samples,
            "findings": [{"organ": "liver", "volume_ml": 1.5}],
        }
        return ToyResult(made, ToyFacts(region))


def register(monkeypatch) -> None:
    SEEN.clear()
    module = types.ModuleType("MedDiffFMLib.tasks.toy")
    module.plan = plan
    monkeypatch.setitem(sys.modules, "MedDiffFMLib.tasks.toy", module)
    monkeypatch.setitem(parameters.TASKS, "toy", ToyParameters)
