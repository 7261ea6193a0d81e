"""The denoising U-Net ε_θ(x_t, t, p_e, c_r, c_a) over MONAI's DiffusionModelUNet (paper, III-B, Fig. 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.networks.nets import DiffusionModelUNet

from ..errors import InputError
from .anatomy_code import MaskConvolution
from .condition_encoding import ConditionEncoding

ATTENTIONS = ("self", "transformer")


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of the U-Net; written to and read from a model folder's config.json.

    position, position_frequencies, anatomy_code: the form of the conditions, see `ConditionEncoding`. attention: "self"
    or "transformer", in which a position of the image attends to all others and to the region's embedding. prediction:
    "epsilon", the paper's, or "v".
    """

    channels: tuple[int, ...] = (16, 32, 64, 128)
    attention_levels: tuple[bool, ...] = (False, False, False, True)
    head_channels: int = 32
    res_blocks: int = 1
    norm_groups: int = 16
    position_frequencies: int = 4
    patch: int = 64
    prediction: str = "epsilon"
    position: str = "encoding"
    anatomy_code: str = "bits"
    attention: str = "self"

    def __post_init__(self):
        """Check the names: InputError for an unknown kind of conditions or attention."""
        if self.attention not in ATTENTIONS:
            raise InputError(f"network.attention is {self.attention!r} and must be {' or '.join(ATTENTIONS)}.")
        _ = self.encoding

    @property
    def encoding(self) -> ConditionEncoding:
        """The encoding of position and anatomy as input channels."""
        return ConditionEncoding(self.position, self.position_frequencies, self.anatomy_code)

    def encoder_arguments(self) -> dict:
        """MONAI's arguments for the encoder, which the U-Net and its ControlNets have alike."""
        return {
            "spatial_dims": 3,
            "in_channels": self.encoding.input_planes,
            "channels": self.channels,
            "attention_levels": self.attention_levels,
            "num_head_channels": self.head_channels,
            "num_res_blocks": self.res_blocks,
            "norm_num_groups": self.norm_groups,
            "use_flash_attention": True,  # the same result with far less memory, on the CPU too
            **self._transformer_arguments(),
        }

    def _transformer_arguments(self) -> dict:
        if self.attention == "self":
            return {}
        return {"with_conditioning": True, "cross_attention_dim": 4 * self.channels[0]}  # of MONAI's class embedding

    @classmethod
    def from_dict(cls, values: dict) -> NetworkConfig:
        """The configuration in the `architecture` of a config.json; other keys are ignored."""
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


SMALL = NetworkConfig()
BASE = NetworkConfig(channels=(32, 64, 128, 256), norm_groups=32, patch=128)


def join_inputs(x_t: torch.Tensor, position: torch.Tensor, anatomy: torch.Tensor) -> torch.Tensor:
    """The input channels of U-Net and ControlNets: image, position and anatomy, (B, C, Z, Y, X), in the type of x_t."""
    return torch.cat([x_t, position.to(x_t.dtype), anatomy.to(x_t.dtype)], dim=1)


def take_label_maps(net: torch.nn.Module, config: NetworkConfig) -> None:
    """Let the first convolution of a U-Net or ControlNet take anatomy as a label map where its code is masks."""
    if config.anatomy_code == "masks":
        net.conv_in = MaskConvolution(net.conv_in.conv)


def region_context(net: torch.nn.Module, config: NetworkConfig, region: torch.Tensor) -> torch.Tensor | None:
    """The context of a transformer beside the image: the region's embedding, (B, 1, C); None without transformer."""
    return net.class_embedding(region)[:, None] if config.attention == "transformer" else None


class Denoiser(torch.nn.Module):
    """ε_θ: noisy windows and their conditions to the estimated noise (or to v, see `as_eps`)."""

    def __init__(self, config: NetworkConfig, region_count: int = 3):
        super().__init__()
        self.config = config
        self.unet = DiffusionModelUNet(out_channels=1, num_class_embeds=region_count, **config.encoder_arguments())
        take_label_maps(self.unet, config)

    def forward(
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        position: torch.Tensor,
        anatomy: torch.Tensor,
        region: torch.Tensor,
        residuals: tuple[Sequence[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """The network's output, ε̂ or v̂ as `config.prediction` says, shape (B, 1, Z, Y, X).

        x_t (B, 1, Z, Y, X) in the model's range, t (B,) timesteps, position and anatomy (B, C, Z, Y, X) as
        `config.encoding` makes them, region (B,) class indices, residuals of a `ControlNet`. Z, Y and X must divide by
        2^(levels−1).
        """
        inputs = join_inputs(x_t, position, anatomy)
        down, middle = residuals or (None, None)
        return self.unet(
            inputs,
            timesteps=t,
            context=region_context(self.unet, self.config, region),
            class_labels=region,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )


def as_eps(output: torch.Tensor, x_t: torch.Tensor, alpha_bar: float | torch.Tensor, prediction: str) -> torch.Tensor:
    """ε̂ of the network's output. v = √ᾱ·ε − √(1 − ᾱ)·x_0 (Salimans & Ho 2022), so ε̂ = √(1 − ᾱ)·x_t + √ᾱ·v̂.

    At much noise ε̂ must equal x_t but for √ᾱ·x_0, a few thousandths: beyond what bfloat16 holds. v̂ is about −x_0
    there, and the sum is made here in float32.
    """
    if prediction == "epsilon":
        return output
    return (1 - alpha_bar) ** 0.5 * x_t + alpha_bar**0.5 * output


def v_target(x0: torch.Tensor, eps: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """The target v = √ᾱ·ε − √(1 − ᾱ)·x_0 of a network that predicts v; alpha_bar broadcasts over x0."""
    return alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x0
