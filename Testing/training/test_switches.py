"""The switches of a run: values worked out by hand, and refusals that say what to do."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import TINY
from training_runs import REPOSITORY

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.networks.unet import BASE
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.learn.batches import StepBatches, draw_batch
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.red_cnn import RedCnnConfig
from MedDiffFMTraining.learn.refine import RefineConfig
from MedDiffFMTraining.learn.restore_config import RestoreConfig
from MedDiffFMTraining.learn.trainer import Trainer, summary

CONFIG = PretrainConfig(network=TINY, crops=CropConfig(patch=(8, 16, 16)), steps=10, batch=2, accumulate=2)
RECIPES = REPOSITORY / "Training" / "recipes"


def test_the_base_recipe_is_the_papers():
    """Paper, IV-A: 128³, three levels alike, L1 on ε, Adam 1e-4, 1 × 4; 150 epochs of 4,838 volumes in fours."""
    paper = PretrainConfig.from_json(RECIPES / "base" / "paper.json")
    assert paper.network == replace(BASE, anatomy_code="masks", attention="transformer")
    assert BASE.channels == (32, 64, 128, 256) and BASE.prediction == "epsilon" and BASE.position == "encoding"
    assert paper.crops.window_first and paper.crops.cut_off_placed and paper.crops.anywhere
    assert paper.crops.patch == (128, 128, 128) and paper.crops.levels == (1, 1, 1, 0)
    assert (paper.batch, paper.accumulate, paper.learning_rate) == (1, 4, 1e-4)
    assert paper.steps == 150 * 4838 // 4
    plain = PretrainConfig()
    for switch in ("warmup", "decay_to", "clip_norm", "ema", "min_snr", "patch_schedule", "precision", "low_noise"):
        assert getattr(paper, switch) == getattr(plain, switch), switch
    assert (paper.crops.keep_organs, paper.crops.keep_position) == (1, 1)
    assert (plain.crops.keep_organs, plain.crops.keep_position) == (0.5, 0.9)  # as the README says
    assert (plain.clip_norm, plain.ema, plain.min_snr, plain.warmup, plain.decay_to) == (0, 0, 0, 0, 1)


def test_the_recipes_of_the_ablation_differ_in_one_component_each():
    """Paper, Table III: the patch level alone; all levels; with p_c; with PE(p_c), which is the paper's model."""
    parts = ("patch", "multi-level", "position", "encoding")
    patch, levels, position, encoding = (
        PretrainConfig.from_json(RECIPES / "base" / f"ablation-{part}.json") for part in parts
    )
    assert encoding == PretrainConfig.from_json(RECIPES / "base" / "paper.json")
    assert position == replace(encoding, network=replace(encoding.network, position="coordinates"))
    assert levels == replace(encoding, network=replace(encoding.network, position="none"))
    assert patch == replace(levels, crops=replace(levels.crops, levels=(0, 0, 1, 0)))


@pytest.mark.parametrize("name", ["pair", "lesion"])
def test_the_recipes_of_controlnets_are_the_papers(name):
    """Paper, IV-A2: around 10,000 steps of 1 × 4 crops of 128³ with 1e-4, every voxel alike."""
    control = PretrainConfig.from_json(RECIPES / "base" / f"control-{name}.json")
    assert (control.steps, control.batch, control.accumulate, control.learning_rate) == (10_000, 1, 4, 1e-4)
    assert control.crops.patch == (128, 128, 128) and control.crops.levels == (1, 1, 1, 0)
    assert control.crops.target == {"pair": "pair", "lesion": "lesion-mask"}[name]
    assert control.lesion_weight == 1.0 or name == "pair"
    assert control.crops.window_first and control.crops.cut_off_placed and control.crops.keep_organs == 1


@pytest.mark.parametrize("path", sorted(p for p in RECIPES.glob("*/*.json") if p.name != "tasks.json"), ids=str)
def test_every_recipe_can_be_read_and_written(path, tmp_path):
    kinds = {"refine": RefineConfig, "red": RedCnnConfig, "restore": RestoreConfig}
    kind = kinds.get(path.stem.split("-")[0], PretrainConfig)
    config = kind.from_json(path)
    (tmp_path / "again.json").write_text(json.dumps(asdict(config)))
    assert kind.from_json(tmp_path / "again.json") == config


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [("epsilon", {24: 5 * 0.0025, 495: 1.0}), ("v", {24: 5 / 401, 495: 1 / 2})],
)
def test_min_snr_by_hand(train_cases, tmp_path, prediction, expected):
    """σ̄ = 0.05 at t = 24, so SNR = 400: min(400, 5)/400 or /401; σ̄ = 1 at t = 495: SNR = 1, 1/1 or 1/2."""
    config = replace(CONFIG, min_snr=5.0, network=replace(TINY, prediction=prediction))
    trainer = Trainer(config, train_cases, tmp_path)
    weights = trainer.weights(torch.tensor(list(expected)))
    assert weights.tolist() == pytest.approx(list(expected.values()), rel=0.05)
    assert Trainer(CONFIG, train_cases, tmp_path).weights(torch.tensor([0, 999])).tolist() == [1, 1]


def test_patches_grow_as_the_schedule_says(train_cases):
    config = replace(CONFIG, patch_schedule=((0.3, (8, 8, 8)), (0.2, (8, 16, 8))))
    patches = [config.crops_at(step).patch for step in range(10)]
    assert patches == [(8, 8, 8)] * 3 + [(8, 16, 8)] * 2 + [(8, 16, 16)] * 5
    trainer = Trainer(config, train_cases, Path("unused"))
    shapes = [StepBatches(train_cases, config, trainer.schedule)[step][0].x_t.shape[2:] for step in (0, 4, 5)]
    assert shapes == [(8, 8, 8), (8, 16, 8), (8, 16, 16)]


def test_channels_last_changes_no_result(train_cases, tmp_path):
    """Another order in memory, the same sums: one update gives the same loss, and the weights lie as asked for."""
    rows = {}
    for channels_last in (False, True):
        trainer = Trainer(replace(CONFIG, channels_last=channels_last), train_cases, tmp_path)
        rows[channels_last] = trainer.update(StepBatches(train_cases, CONFIG, trainer.schedule)[0])
        weight = trainer.network.unet.conv_in.conv.weight
        assert weight.is_contiguous(memory_format=torch.channels_last_3d) == channels_last
    assert rows[True] == pytest.approx(rows[False], rel=1e-4)


def test_the_share_of_a_process():
    """Two processes of batch 1, two passes: samples 0 2 and 1 3 of step 0, as one with batch 2 has 0 1 and 2 3."""

    def firsts(batch, rank, count, step):
        seen = []
        steps = StepBatches([], replace(CONFIG, batch=batch), None, rank, count)
        with pytest.MonkeyPatch.context() as patch:
            name = "MedDiffFMTraining.learn.batches.draw_batch"
            patch.setattr(name, lambda cases, config, schedule, first, crops: seen.append(first))
            steps[step]
        return seen

    assert firsts(1, 0, 2, 0) == [0, 2] and firsts(1, 1, 2, 0) == [1, 3]
    assert firsts(1, 1, 2, 3) == [13, 15] and firsts(2, 0, 1, 3) == [12, 14]


def test_losses_by_band_and_region():
    rows = torch.tensor([[10.0, 0, 0.5, 1], [20, 1, 0.7, 1], [500, 1, 0.1, 0.5]])
    row = summary(rows)
    assert row["loss"] == pytest.approx((0.5 + 0.7 + 0.05) / 3)
    assert row["loss/t<30"] == pytest.approx(0.6) and row["loss/t<1000"] == pytest.approx(0.1)
    assert row["loss/head-neck"] == pytest.approx(0.5) and row["loss/chest"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learning_rat": 1}, "unknown settings.*learning_rat"),
        ({"network": {"chanels": [8]}}, "unknown settings.*chanels"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"crops": {"patch": [10, 16, 16]}}, "patch is .10, 16, 16. and must be three multiples of 8"),
        ({"patch_schedule": [[0.5, [10, 8, 8]]]}, "must be three multiples of 8"),
        ({"patch_schedule": [[0.7, [8, 8, 8]], [0.7, [8, 8, 8]]]}, "sum to 1"),
        ({"patch_schedule": [0.5]}, "cannot be used"),
        ({"precision": "float16"}, "float32 or bfloat16"),
        ({"network": {"prediction": "x0"}}, "epsilon or v"),
        ([1], "known:"),
    ],
)
def test_settings_that_cannot_be_trained_with(tmp_path, settings, said):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(settings))
    with pytest.raises(InputError, match=said) as caught:
        PretrainConfig.from_json(path)
    assert "bad.json" in str(caught.value) and "\n" not in str(caught.value)


def test_validation_sees_the_averaged_weights_and_nothing_random(train_cases, validation_cases, tmp_path):
    """Twice the same figure; other weights of the network alone leave it, those of the average change it."""
    from MedDiffFMTraining.learn.validation import pictures, validate

    trainer = Trainer(replace(CONFIG, validate_crops=1), train_cases, tmp_path, validation=validation_cases)
    first = validate(trainer)
    assert first["validation/loss"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.02)  # E|ε|: the output starts at zero
    with torch.no_grad():
        trainer.network.unet.out[2].conv.bias.fill_(3.0)
    assert validate(trainer) == first
    with torch.no_grad():
        trainer.average.module.unet.out[2].conv.bias.fill_(3.0)
    assert validate(trainer)["validation/loss"] > 2
    images = pictures(trainer)
    assert len(images) == 2 and all(
        image.shape == (32, 64) and 0 <= image.min() <= image.max() <= 1 for image in images.values()
    )


@pytest.mark.parametrize("at_once, remembered", [(True, 0.999), (False, 0.0)])
def test_the_average_of_weights_that_were_given(train_cases, tmp_path, at_once, remembered):
    """After one step it is .999 of the given weights and .001 of the new ones; or the new ones, as ever."""
    first = Trainer(CONFIG, train_cases, tmp_path / "first")
    first.save()
    config = replace(CONFIG, ema=0.999, ema_at_once=at_once, learning_rate=0.1, seed=9)
    trainer = Trainer(config, train_cases, tmp_path / "second")
    trainer.start_from(tmp_path / "first" / "last.pt")
    trainer.update([draw_batch(train_cases, config, trainer.schedule, 0)])
    given, new, average = (
        torch.cat([p.flatten() for p in module.parameters()]).detach()
        for module in (first.network, trainer.network, trainer.average.module)
    )
    assert (new - given).abs().max() > 0.01
    assert torch.allclose(average, remembered * given + (1 - remembered) * new, atol=1e-6)
