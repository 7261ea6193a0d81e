"""The losses of equations 3 and 4 by hand; pre-training, fine-tuning and validation take them from one place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_model import TINY, save_tiny_model

from MedDiffFMLib.diffusion.schedule import add_noise, cosine_schedule
from MedDiffFMTraining.data.crop import Crop
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.learn import finetune, trainer
from MedDiffFMTraining.learn.batches import TrainingBatch
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.finetune import ControlTrainer
from MedDiffFMTraining.learn.loss import controlnet_loss, diffusion_loss, training_target
from MedDiffFMTraining.learn.pretrain import pretrain
from MedDiffFMTraining.learn.trainer import Trainer

SCHEDULE = cosine_schedule()
CONFIG = PretrainConfig(
    network=TINY,
    crops=CropConfig(patch=(8, 16, 16)),
    steps=2,
    batch=2,
    accumulate=1,
    validate_every=2,
    validate_crops=1,
)


def batch_of(*targets: torch.Tensor | None) -> TrainingBatch:
    """Crops of 2 × 2 × 2 voxels at t = 495, where ᾱ is a half."""
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.rand((len(targets), 1, 2, 2, 2), generator=generator) for _ in range(2))
    crops = [
        Crop(image, (), False, torch.zeros(2, 2, 2), 0, "own", target=target)
        for image, target in zip(x0, targets, strict=True)
    ]
    x_t = torch.stack([add_noise(image, 495, SCHEDULE, one) for image, one in zip(x0, noise, strict=True)])
    return TrainingBatch(x_t, noise, torch.full((len(targets),), 495), crops)


def test_equation_3_is_the_mean_distance_from_the_noise():
    batch = batch_of(None, None)
    off = torch.tensor([0.5, -0.25]).view(2, 1, 1, 1, 1)
    target = training_target(batch, SCHEDULE, "epsilon")
    assert diffusion_loss(lambda batch: batch.eps + off, batch, target).tolist() == pytest.approx([0.5, 0.25])
    one_voxel = batch.eps.clone()
    one_voxel[0, 0, 1, 1, 1] += 8
    assert diffusion_loss(lambda batch: one_voxel, batch, target).tolist() == pytest.approx([1.0, 0.0])


def test_the_target_of_v_leads_back_to_the_image():
    """x_0 = √ᾱ·x_t − √(1 − ᾱ)·v, by the definition of v (Salimans & Ho 2022, appendix D)."""
    batch, abar = batch_of(None, None), float(SCHEDULE.alpha_bar[495])
    v = training_target(batch, SCHEDULE, "v")
    x0 = torch.stack([crop.x0 for crop in batch.crops])
    assert torch.allclose(abar**0.5 * batch.x_t - (1 - abar) ** 0.5 * v, x0, atol=1e-6)


def test_equation_4_counts_a_voxel_of_a_lesion_more_often():
    """One of eight voxels is lesion and wrong by 1: 5/(5 + 7) if given a lesion's mask, 1/8 if given another CT, or if
    the voxels count alike (the paper's).
    """
    mask = torch.zeros(1, 2, 2, 2)
    mask[0, 0, 0, 0] = 1
    batch = batch_of(mask)

    def loss(*arguments):
        return controlnet_loss(lambda batch: batch.eps + mask, batch, batch.eps, *arguments).item()

    assert loss("lesion-mask", 5.0) == pytest.approx(5 / 12) and loss("pair", 5.0) == pytest.approx(1 / 8)
    assert loss("lesion-mask", 1.0) == pytest.approx(1 / 8) == loss("lesion-mask")


@pytest.mark.parametrize(("module", "name"), [(trainer, "diffusion_loss"), (finetune, "controlnet_loss")])
def test_updates_and_validation_take_the_loss_from_one_place(
    module, name, train_cases, validation_cases, tmp_path, monkeypatch
):
    """Two updates of one batch, then a validation of one crop at four timesteps: six calls that count."""
    seen, loss = [], getattr(module, name)

    def watched(*arguments):
        seen.append(loss(*arguments))
        return seen[-1]

    monkeypatch.setattr(module, name, watched)
    if module is trainer:
        run = Trainer(CONFIG, train_cases, tmp_path / "run", validation=validation_cases)
    else:
        config = replace(CONFIG, crops=replace(CONFIG.crops, target="thick-ct"))
        base = save_tiny_model(tmp_path / "model")
        run = ControlTrainer(config, train_cases, tmp_path / "run", base, validation=validation_cases)
    rows: list[dict] = []
    pretrain(run, rows.append)
    assert [len(losses) for losses in seen] == [2, 2, 1, 1, 1, 1]
    assert [row["loss"] for row in rows] == pytest.approx([losses.mean().item() for losses in seen[:2]])
    assert rows[1]["validation/loss"] == pytest.approx(sum(losses.item() for losses in seen[2:]) / 4)
