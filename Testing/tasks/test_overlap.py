"""The parameter `overlap`: it decides how many windows every task computes, by numbers worked out by hand."""

import math

import numpy as np
import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.inference.noise_predictor import NoisePredictor
from MedDiffFMLib.tasks import denoise, detect_anomalies, generate_lesion, inpaint_lesion, super_resolve, synthesize
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

PATCH = 16  # voxels, of the tiny models


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    """A corner of the real abdomen: 16 × 64 × 60 voxels (z, y, x) of 3 mm."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[0:60, 20:84, 44:60], "abdomen")


@pytest.mark.parametrize(("overlap", "windows"), [(None, 25), (0, 16), (0.25, 25), (0.5, 49), (0.75, 156)])
def test_windows_by_hand(ct, tiny_model, overlap, windows):
    """Windows of 16 voxels lie 16, 12, 8 or 4 voxels apart at most. Along y (64): 48 / 16 = 3, so 4 windows; 48 / 12 =
    4, so 5; 7; 13. Along x (60): 44 / 16 = 2.75, so 4; 44 / 12 = 3.7, so 5; 7; 44 / 4 = 11, so 12. Along z 1.
    """
    facts = denoise.denoise(ct, tiny_model, sigma=20, quality="fast", region="abdomen", overlap=overlap).facts
    assert facts.windows + facts.windows_of_air == windows


@pytest.fixture
def plans(monkeypatch):
    """The windows that a task lays out."""
    found, original = [], NoisePredictor.__init__

    def noted(self, *arguments, **options):
        original(self, *arguments, **options)
        found.append(self.plan)

    monkeypatch.setattr(NoisePredictor, "__init__", noted)
    monkeypatch.setattr(NoisePredictor, "seconds_of_a_tile", lambda self, x_t, t: 1.0)
    return found


@pytest.mark.parametrize("task", ["denoise", "detect", "super-resolve", "inpaint", "synthesize", "generate"])
def test_every_task_takes_it(ct, tiny_model_with_controls, plans, task):
    model, region = tiny_model_with_controls, {"region": "chest", "overlap": 0.5}
    body = ct.with_voxels(np.full(ct.voxels.shape, 118, np.uint8))
    lesion = np.zeros(ct.voxels.shape, np.uint8)
    lesion[6:10, 28:36, 26:34] = 1
    mask = ct.with_voxels(lesion)
    looks = {
        "denoise": lambda: denoise.look(ct, model, sigma=20, **region),
        "detect": lambda: detect_anomalies.look(ct, model, **region),
        "super-resolve": lambda: super_resolve.look(ct, model, factor=2, **region),
        "inpaint": lambda: inpaint_lesion.look(ct, mask, model, **region),
        "synthesize": lambda: synthesize.look(body, model, **region),
        "generate": lambda: generate_lesion.look(body, mask, model, **region),
    }
    looks[task]()
    assert plans
    for plan in plans:
        along = [1 if n <= PATCH else math.ceil((n - PATCH) / (PATCH / 2)) + 1 for n in plan.shape]
        assert len(plan.tiles) == math.prod(along), (task, plan.shape)
    assert any(len(plan.tiles) > 1 for plan in plans)


def test_a_models_own_overlap_gives_way_to_what_is_asked_for(ct, tiny_model):
    from dataclasses import replace

    model = replace(tiny_model, config={"tasks": {"denoise": {"fast": {"overlap": 0.5}}}})
    run = {"sigma": 20, "quality": "fast", "region": "abdomen"}
    facts = denoise.denoise(ct, model, **run).facts
    assert facts.windows + facts.windows_of_air == 49
    facts = denoise.denoise(ct, model, overlap=0, **run).facts
    assert facts.windows + facts.windows_of_air == 16


def test_beyond_the_range(ct, tiny_model):
    with pytest.raises(InputError, match=r"--overlap cannot be 0\.8: use a number from 0 to 0\.75"):
        denoise.denoise(ct, tiny_model, overlap=0.8)
