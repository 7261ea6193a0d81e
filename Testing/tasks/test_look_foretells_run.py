"""What a look says that a task will compute is what its run then computes: every task, one region and a whole body."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from whole_body import whole_body

from MedDiffFMLib.anatomy.tissue import BodyImage, complete_labels, find_tissue
from MedDiffFMLib.parameters import TASKS

QUICK = {
    "denoise": {"sigma": 20, "quality": "balanced", "steps": 2},
    "detect-anomalies": {"organ": "lungs", "draws": 2},
    "super-resolve": {"factor": 2, "quality": "fast", "steps": 2},
    "synthesize": {"quality": "balanced", "steps": 2, "samples": 2},
    "inpaint-lesion": {"steps": 2, "resample": 2, "samples": 2},
    "generate-lesion": {"quality": "fast", "synthesis_steps": 3, "steps": 2, "resample": 1, "samples": 2},
}
JOINED = ("denoise", "super-resolve", "synthesize", "generate-lesion")  # the others work where organ or lesion lie
CHEST = slice(12, 24)


@pytest.fixture(scope="module")
def scans(data):
    """By the extent: a CT, its label map (with 118 around the organs) and a lesion in the chest."""
    ct, organs = whole_body(data)
    labels = complete_labels(organs, find_tissue(BodyImage(ct.voxels, ct.spacing[::-1])))
    lesion = np.zeros(labels.shape, np.uint8)
    lesion[16:18, 20:23, 25:28] = 1
    whole = (ct, ct.with_voxels(labels), ct.with_voxels(lesion))
    return {"whole": whole, "chest": tuple(replace(v, voxels=v.voxels[CHEST]) for v in whole)}


@pytest.fixture(scope="module")
def model(tiny_model_with_controls):
    own_grid = {"spacing_mm": None}
    tasks = {"detect-anomalies": own_grid, "inpaint-lesion": own_grid, "denoise": {"fast": own_grid}}
    return replace(tiny_model_with_controls, config=tiny_model_with_controls.config | {"tasks": tasks})


@pytest.mark.parametrize("extent", ["chest", "whole"])
@pytest.mark.parametrize("task", QUICK)
def test_a_look_foretells_the_region_and_the_evaluations_of_a_run(task, extent, scans, model):
    ct, labels, lesion = scans[extent]
    inputs = [{"ct": ct, "labels": labels, "mask": lesion}[s.kind] for s in TASKS[task].files if not s.output]
    name = task.replace("-", "_")
    module = import_module(f"MedDiffFMLib.tasks.{name}")
    found = module.look(*inputs, model=model, **QUICK[task])
    facts = getattr(module, name)(*inputs, model=model, **QUICK[task]).facts
    assert found["network_evaluations"] == facts.network_evaluations > 0
    assert found["region"] == facts.region
    assert (" + " in found["region"]) == (extent == "whole" and task in JOINED)


def test_every_task_that_can_look_is_tried():
    tasks = [name for name in TASKS if hasattr(import_module(f"MedDiffFMLib.tasks.{name.replace('-', '_')}"), "look")]
    assert set(tasks) == set(QUICK)
