"""The denoising U-Net ε_θ(x_t, t, p_e, c_r, c_a) over MONAI's DiffusionModelUNet (paper, III-B, Fig. 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import DiffusionModelUNet

from ..anatomy.classes import CODE_PLANES


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of the U-Net; written to and read from a model folder's config.json."""

    channels: tuple[int, ...] = (16, 32, 64, 128)
    attention_levels: tuple[bool, ...] = (False, False, False, True)
    head_channels: int = 32
    res_blocks: int = 1
    norm_groups: int = 16
    position_frequencies: int = 4
    patch: int = 64
    prediction: str = "epsilon"  # the paper's, or "v"

    @property
    def in_channels(self) -> int:
        """x_t, then the position encoding, then the anatomy code."""
        return 1 + 6 * self.position_frequencies + CODE_PLANES

    def encoder_arguments(self) -> dict:
        """MONAI's arguments for the encoder, which the U-Net and its ControlNets have alike."""
        return {
            "spatial_dims": 3,
            "in_channels": self.in_channels,
            "channels": self.channels,
            "attention_levels": self.attention_levels,
            "num_head_channels": self.head_channels,
            "num_res_blocks": self.res_blocks,
            "norm_num_groups": self.norm_groups,
            "use_flash_attention": True,  # the same result with far less memory, on the CPU too
        }

    @classmethod
    def from_dict(cls, values: dict) -> NetworkConfig:
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


SMALL = NetworkConfig()
BASE = NetworkConfig(channels=(32, 64, 128, 256), norm_groups=32, patch=128)


def join_inputs(x_t: torch.Tensor, position: torch.Tensor, anatomy: torch.Tensor) -> torch.Tensor:
    """The input channels of U-Net and ControlNets: image, position and anatomy, (B, C, Z, Y, X), in the type of x_t."""
    return torch.cat([x_t, position.to(x_t.dtype), anatomy.to(x_t.dtype)], dim=1)


class Denoiser(torch.nn.Module):
    """ε_θ: noisy windows and their conditions to the estimated noise (or to v, see `as_epsilon`)."""

    def __init__(self, config: NetworkConfig, region_count: int = 3):
        super().__init__()
        self.config = config
        self.unet = DiffusionModelUNet(out_channels=1, num_class_embeds=region_count, **config.encoder_arguments())

    def forward(
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        position: torch.Tensor,
        anatomy: torch.Tensor,
        region: torch.Tensor,
        residuals: tuple[Sequence[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """x_t (B, 1, Z, Y, X) in the model's range, t (B,) timesteps, position (B, 6L, Z, Y, X), anatomy (B, 7, Z,
        Y, X) code, region (B,) class indices, residuals of a `ControlNet`. Returns ε̂ or v̂, as `config.prediction`
        says, shape (B, 1, Z, Y, X). Z, Y and X must divide by 2^(levels−1).
        """
        inputs = join_inputs(x_t, position, anatomy)
        down, middle = residuals or (None, None)
        return self.unet(
            inputs,
            timesteps=t,
            class_labels=region,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )


def as_epsilon(
    output: torch.Tensor, x_t: torch.Tensor, alpha_bar: float | torch.Tensor, prediction: str
) -> torch.Tensor:
    """ε̂ of the network's output. v = √ᾱ·ε − √(1 − ᾱ)·x_0 (Salimans & Ho 2022), so ε̂ = √(1 − ᾱ)·x_t + √ᾱ·v̂.

    At much noise ε̂ must equal x_t but for √ᾱ·x_0, a few thousandths: beyond what bfloat16 holds. v̂ is about −x_0
    there, and the sum is made here in float32.
    """
    if prediction == "epsilon":
        return output
    return (1 - alpha_bar) ** 0.5 * x_t + alpha_bar**0.5 * output


def v_target(x0: torch.Tensor, epsilon: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """v = √ᾱ·ε − √(1 − ᾱ)·x_0; alpha_bar broadcasts over x0."""
    return alpha_bar.sqrt() * epsilon - (1 - alpha_bar).sqrt() * x0
