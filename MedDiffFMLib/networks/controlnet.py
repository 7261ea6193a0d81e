"""ControlNet: a task's own condition c_t for a locked ε_θ (paper, III-B; paper eq. 4; Zhang et al. 2023), over MONAI's.

ε_θ(x_t, t, p_e, c_r, c_a, c_t):  a trainable copy of the U-Net's encoder sees c_t too, and its features are added
to the locked U-Net's skip connections through convolutions that start at zero.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from monai.networks import nets

from .unet import Denoiser, NetworkConfig, join_inputs, region_context, take_label_maps

Residuals = tuple[list[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ControlNetConfig:
    """The configuration of a ControlNet; written to and read from its config.json.

    kind: of its input, the target: "thick-ct" (a CT in the model's range, interpolated along z), "thick-slices" (the
    same, each thick slice repeated), "pair" (another CT of the same, with thick slices or low dose, on its grid) or
    "lesion-mask" (0 or 1). direct_t: the timestep of a ControlNet that makes thin slices in a single evaluation (see
    `tasks.one_step_slices`); None for any other.
    """

    kind: str = "lesion-mask"
    target_channels: int = 1
    encoder_channels: tuple[int, ...] = (16,)  # of the target encoder; each further entry would halve the size
    direct_t: int | None = None

    @classmethod
    def from_dict(cls, values: dict) -> ControlNetConfig:
        """The configuration in a config.json; other keys are ignored."""
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


class ControlNet(torch.nn.Module):
    """The trainable copy with its target encoder and zero convolutions."""

    def __init__(self, network: NetworkConfig, config: ControlNetConfig, region_count: int = 3):
        super().__init__()
        self.network, self.config = network, config
        self.net = nets.ControlNet(
            **network.encoder_arguments(),
            num_class_embeds=region_count,
            conditioning_embedding_in_channels=config.target_channels,
            conditioning_embedding_num_channels=config.encoder_channels,
        )
        take_label_maps(self.net, network)

    def start_from(self, denoiser: Denoiser) -> None:
        """Copy the encoder half of the U-Net: MONAI copies nothing. ValueError if a part of it finds no weights."""
        weights = self.net.state_dict()
        encoder = {name: value for name, value in denoiser.unet.state_dict().items() if name in weights}
        missing = [n for n in weights if n not in encoder and "controlnet" not in n]
        if missing:
            raise ValueError(f"the U-Net has no weights for {missing[:3]} of its copy")
        self.net.load_state_dict(weights | encoder)

    def forward(
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        position: torch.Tensor,
        anatomy: torch.Tensor,
        region: torch.Tensor,
        target: torch.Tensor,
    ) -> Residuals:
        """The residuals that are added to the U-Net's features. Arguments as of `Denoiser.forward`; target (B, C, Z, Y,
        X): the ControlNet's own condition.
        """
        inputs = join_inputs(x_t, position, anatomy)
        context = region_context(self.net, self.network, region)
        return self.net(inputs, t, target.to(x_t.dtype), context=context, class_labels=region)


class ControlledDenoiser(torch.nn.Module):
    """A U-Net with the features of a ControlNet added, as one network."""

    def __init__(self, denoiser: Denoiser, control: ControlNet):
        super().__init__()
        self.denoiser, self.control = denoiser, control

    def forward(
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        position: torch.Tensor,
        anatomy: torch.Tensor,
        region: torch.Tensor,
        target: torch.Tensor,
    ) -> torch.Tensor:
        """Arguments as `ControlNet.forward`. Returns what the U-Net does, (B, 1, Z, Y, X)."""
        residuals = self.control(x_t, t, position, anatomy, region, target)
        return self.denoiser(x_t, t, position, anatomy, region, residuals)
