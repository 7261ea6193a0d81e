"""A network whose output is always numbers: kernels of bfloat16 give a NaN now and then, and float16 an infinity."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..errors import InputError


class FiniteNetwork:
    """A network as a runtime evaluates it, called with the arguments of its `forward`, all positional.

    An output that is not finite is computed once more by PyTorch in float32. InputError if it is not finite then
    either: a mean over windows would spread it, and nothing later could find it.
    """

    def __init__(self, network: torch.nn.Module, evaluate: Callable[..., torch.Tensor], name: str):
        """evaluate: the network itself, or how another runtime computes it. name: of the model, for the sentence."""
        self.config = getattr(network, "config", None)
        self._network, self._evaluate, self._name = network, evaluate, name

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The network's output."""
        output = self._evaluate(*inputs)
        if torch.isfinite(output).all():
            return output
        with torch.autocast(output.device.type, enabled=False):
            output = self._network(*(value.float() if value.is_floating_point() else value for value in inputs))
        if torch.isfinite(output).all():
            return output
        raise InputError(
            f"The model {self._name} computes values that are not numbers, in float32 too: its training failed or this "
            "computer computes wrongly; run meddiff-fm doctor --self-test, and choose another model."
        )
