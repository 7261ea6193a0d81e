"""Fine-tuning of a ControlNet, the U-Net locked (paper, III-B; `loss.controlnet_loss`).

`config.crops.target` says what c_t is: "thick-ct", made of the crop by block mean; "pair", the same crop of another CT
of the patient on the case's grid (thick slices, low dose); or "lesion-mask". With "thick-slices" the ControlNet learns
to restore in one evaluation (`one_step`). The loop, its random numbers and its exact resume are pre-training's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from MedDiffFMLib.models.config import verify
from MedDiffFMLib.models.folder import load_network
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig

from ..data.store import Case
from .batches import TrainingBatch
from .config import PretrainConfig
from .loss import controlnet_loss
from .one_step import one_step_loss
from .trainer import Trainer


def control_config(config: PretrainConfig) -> ControlNetConfig:
    """The configuration of a run's ControlNet: the kind of its condition, and how it is to be used."""
    direct = config.crops.target == "thick-slices"
    return ControlNetConfig(kind=config.crops.target, direct_t=config.direct_t if direct else None)


class ControlTrainer(Trainer):
    """A run whose trained network is a ControlNet of the model in the folder `base`."""

    def __init__(
        self, config: PretrainConfig, cases: Sequence[Case], folder: Path, base: Path, device: str = "cpu", **options
    ):
        record = verify(base)
        self.base = load_network(base, record)
        super().__init__(replace(config, network=self.base.config), cases, folder, device, **options)
        self.base.to(self.device).to(memory_format=self.memory_format)
        self.origin = {"base": record["name"], "base_sha256": record["weights"]["sha256"]}

    def make_network(self) -> ControlNet:
        """The copy of the U-Net's encoder, its convolutions to the U-Net at zero."""
        control = ControlNet(self.base.config, control_config(self.config))
        control.start_from(self.base)
        return control

    def estimate(self, batch: TrainingBatch) -> torch.Tensor:
        """The locked U-Net's output with the ControlNet's features."""
        inputs = self.inputs(batch)
        target = torch.stack([crop.target for crop in batch.crops]).to(self.device)
        with self.autocast():
            return self.base(*inputs, self.model(*inputs, target)).float()

    def losses(self, batch: TrainingBatch) -> torch.Tensor:
        """The loss of each sample, (B,)."""
        kind = self.config.crops.target
        if kind == "thick-slices":
            alpha = float(self.schedule.alpha_bar[self.config.direct_t])
            return one_step_loss(self.estimate(batch), batch, alpha, self.config.network.prediction)
        return controlnet_loss(self.estimate, batch, self.target(batch), kind, self.config.lesion_weight)
