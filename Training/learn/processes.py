"""One process, or several that train one network together (Accelerate: DistributedDataParallel).

`accelerate launch` and `torchrun` start the same command several times and give each its rank in the environment. Each
draws its part of every step's samples; gradients are averaged over all before an update, so that the weights stay the
same everywhere. One process needs nothing of this, nor Accelerate.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from MedDiffFMLib.errors import InputError


class OneProcess:
    """The only process: nothing to share."""

    rank, count, main = 0, 1, True

    def __init__(self, device: str = "cpu"):
        self.device = torch.device(device)

    def wrap(self, network: torch.nn.Module) -> torch.nn.Module:
        """The network as it is to be called in training."""
        return network

    def without_exchange(self, network: torch.nn.Module) -> AbstractContextManager:
        """A context in which `backward` exchanges no gradients: for all passes of an update but the last."""
        return nullcontext()

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows (N, …) of all processes, in their order."""
        return rows

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return flag

    def wait(self) -> None:
        """Wait until all processes are here."""


class ManyProcesses(OneProcess):
    """One of several, as the launcher's environment says. `device`: "cpu" for all, else each takes a GPU."""

    def __init__(self, device: str = "auto"):
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs
        except ImportError:
            raise InputError("Several processes need Accelerate: pip install 'meddiff-fm[training]'.") from None
        options = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
        self.accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[options])
        kind = self.accelerator.distributed_type.name
        if kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
            raise InputError(f"{kind} would save half a GiB of a GPU and is not supported: launch without it, for DDP.")
        self.device = self.accelerator.device
        self.rank, self.count = self.accelerator.process_index, self.accelerator.num_processes
        self.main = self.accelerator.is_main_process

    def wrap(self, network: torch.nn.Module) -> torch.nn.Module:
        return self.accelerator.prepare_model(network)

    def without_exchange(self, network: torch.nn.Module) -> AbstractContextManager:
        return self.accelerator.no_sync(network)

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        return self.accelerator.gather(rows)

    def any(self, flag: bool) -> bool:
        return bool(self.gather(torch.tensor([flag], device=self.device)).any())

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()


def find_processes(device: str) -> OneProcess:
    """This process and its companions. device: "cpu", "auto" or "cuda[:N]"; with companions each takes its own GPU.

    InputError if the device is not there, if several processes would share one GPU, or without Accelerate.
    """
    from MedDiffFMLib.models.device import choose_device

    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return OneProcess(str(choose_device(device)))
    if ":" in device:
        raise InputError(f"--device {device} would be shared by all processes: write cuda, and each takes its own GPU.")
    return ManyProcesses(str(choose_device(device)))
