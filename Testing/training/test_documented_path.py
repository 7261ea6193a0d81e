"""The documented way from a run to a task: export with the recipe's settings, and a ControlNet of real pairs in use."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from small_store import add_case
from tiny_model import TINY
from training_runs import REPOSITORY

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.controlnet_folder import load_controlnet
from MedDiffFMLib.models.loading import Model, load_model
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.tasks import (
    denoise_region as denoise_run,
)
from MedDiffFMLib.tasks import (
    detect_anomalies,
    super_resolve,
    synthesize,
)
from MedDiffFMLib.tasks import (
    lesion_inpainter as lesion,
)
from MedDiffFMLib.tasks.inpaint_lesion import inpaint_lesion
from MedDiffFMLib.tasks.scan import analyze_scan
from MedDiffFMLib.tasks.settings import settings_for
from MedDiffFMLib.tasks.thin_slices import SliceSplit, thin_conditions
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.intensity import to_model
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.__main__ import main
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.prepare import _onto
from MedDiffFMTraining.data.store import CaseFacts
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.trainer import Trainer

TASKS_JSON = REPOSITORY / "Training" / "recipes" / "small" / "tasks.json"
CONFIG = PretrainConfig(
    network=TINY, crops=CropConfig(patch=(8, 16, 16)), steps=1, accumulate=1, warmup=1, precision="float32"
)


def train(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
    return main()


@pytest.fixture
def exported(tmp_path, train_cases, monkeypatch):
    """A model folder by the documented call, with the recipe's settings of the tasks."""
    Trainer(CONFIG, train_cases, tmp_path / "run").save()
    (tmp_path / "run" / "config.json").write_text(CONFIG.to_json())
    run, folder = tmp_path / "run", tmp_path / "exported"
    assert train(monkeypatch, "export", run / "last.pt", run / "config.json", folder, "--tasks", TASKS_JSON) == 0
    return folder


def test_the_recipes_settings_are_exported_and_each_is_known(exported):
    model = load_model(exported, device="cpu", precision="float32")
    asked = json.loads(TASKS_JSON.read_text(encoding="utf-8"))
    assert model.config["tasks"] == asked
    known = {
        "denoise": denoise_run.QUALITIES,
        "super-resolve": super_resolve.QUALITIES,
        "synthesize": synthesize.QUALITIES,
        "detect-anomalies": detect_anomalies.DetectAnomaliesSettings(),
        "inpaint-lesion": lesion.LesionSettings(),
        "lesion-lung": lesion.KindSettings(),
    }
    assert set(asked) == set(known)
    for task, settings in known.items():
        for quality, one in settings.items() if isinstance(settings, dict) else [(None, settings)]:
            settings_for(model, task, one, quality)


@pytest.mark.parametrize("name", ["denois", "lesion", "lung", "lesion-"])
def test_settings_of_something_else_are_refused(name, tmp_path, exported, monkeypatch, capsys):
    (tmp_path / "tasks.json").write_text(json.dumps({name: {}}))
    run = tmp_path / "run"
    words = ("export", run / "last.pt", run / "config.json", tmp_path / "other", "--tasks", tmp_path / "tasks.json")
    capsys.readouterr()
    assert train(monkeypatch, *words) == 2
    said = capsys.readouterr().err
    assert repr(name) in said and "lesion-KIND" in said and said.count("\n") == 1
    assert not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def pair(data) -> tuple[Volume, Volume]:
    """A thin CT in RAS order and a real pair of it: means of five slices, with a scanner's own offset of 30 HU."""
    image = sitk.DICOMOrient(sitk.ReadImage(str(data / "abd_ts_example.nii.gz")), "RAS")[10:74, 10:74, 40:80]
    thin = Volume.from_sitk(image, "thin")
    means = thin.voxels.reshape(8, 5, *thin.voxels.shape[1:]).mean(axis=1) + 30
    spacing = (*thin.spacing[:2], thin.spacing[2] * 5)
    origin = (*thin.origin[:2], thin.origin[2] + 2 * thin.spacing[2])
    return thin, replace(thin, voxels=np.rint(means).astype(np.int16), spacing=spacing, origin=origin, source="thick")


def test_a_control_of_real_pairs_is_trained_exported_and_used(pair, exported, tmp_path, monkeypatch):
    """The paper's own way to thin slices: pretrain, finetune on pairs, export-control, super-resolve."""
    thin, thick = pair
    facts = CaseFacts("one", "a", "abdomen", thin.spacing[::-1], 10.0, True)
    onto = _onto(thick, prepare(thin).volume, np.ones(thin.voxels.shape, bool))
    again = thin.with_voxels(np.rint(onto).astype(np.int16)).to_sitk()
    add_case(tmp_path / "store", "train", facts, thin.to_sitk(), None, pair=again)
    settings = replace(CONFIG, crops=CropConfig(patch=(8, 16, 16), levels=(0, 0, 1, 1), target="pair"))
    (tmp_path / "pair.json").write_text(settings.to_json())
    run = tmp_path / "control"
    words = ("finetune", tmp_path / "store", run, exported, "--config", tmp_path / "pair.json", "--device", "cpu")
    assert train(monkeypatch, *words) == 0
    for name in ("super-resolution", "lesion-lung"):
        assert train(monkeypatch, "export-control", run / "last.pt", run / "config.json", exported, name) == 0
    model = load_model(exported, device="cpu", precision="float32")
    assert load_controlnet(model, "super-resolution").config.kind == "pair"
    made = super_resolve.super_resolve(thick, model, quality="paper", steps=2, factor=5, region="abdomen")
    assert made.volume.voxels.shape == thin.voxels.shape and made.facts.control == "super-resolution"
    _is_told_what_it_was_trained_on(thick, onto, model)
    _is_refused_as_another(thin, model)


def _is_told_what_it_was_trained_on(thick: Volume, onto: np.ndarray, model: Model) -> None:
    """On the thin grid stands what `train prepare` makes of the pair, then the window: not the window's own mean."""
    scan = analyze_scan(thick, "abdomen", Reporter(None))
    conditions = scan.conditions(model, np.zeros(scan.body.shape, np.uint8))
    target = thin_conditions(conditions, scan, SliceSplit(-3, 5), "pair").target[0]
    np.testing.assert_allclose(target, to_model(onto, scan.window), atol=1e-4)


def _is_refused_as_another(thin: Volume, model: Model) -> None:
    """A ControlNet under the name of another task's is refused, where its target would be taken for something else."""
    mask = np.zeros(thin.voxels.shape, np.uint8)
    mask[18:22, 28:34, 28:34] = 1
    with pytest.raises(InputError, match=r"lesion-lung.* takes 'pair' and cannot be used for lesion-mask"):
        inpaint_lesion(thin, thin.with_voxels(mask), model, kind="lung", region="abdomen")


def test_a_control_that_is_told_no_slices_is_refused(pair, tiny_model_with_controls, tmp_path):
    folder = shutil.copytree(tiny_model_with_controls.folder, tmp_path / "model")
    shutil.rmtree(folder / "controlnets" / "super-resolution")
    shutil.copytree(folder / "controlnets" / "lesion-lung", folder / "controlnets" / "super-resolution")
    model = load_model(folder, device="cpu", precision="float32")
    with pytest.raises(InputError, match=r"super-resolution.*takes 'lesion-mask'"):
        super_resolve.super_resolve(pair[1], model, factor=5, region="abdomen", quality="paper")
