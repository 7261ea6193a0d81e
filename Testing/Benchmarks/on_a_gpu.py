"""Whether a GPU computes what the CPU does, and how fast: the bundled network on random windows.

    python Testing/Benchmarks/on_a_gpu.py [--device cuda] [--patch 64] [--batch 8] [--rounds 10]

Needs neither data nor SimpleITK. Exit code 1 if a precision differs from the CPU's float32 by more than `MOST`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

import MedDiffFMLib
from MedDiffFMLib.models.config import verify
from MedDiffFMLib.models.folder import load_network

MOST = {"float32": 0.005, "bfloat16": 0.05}  # mean |difference| beside the mean |output|; float32 is TF32 on a GPU


def windows(network: torch.nn.Module, batch: int, patch: int) -> list[torch.Tensor]:
    """x_t, t, position, anatomy and region of random windows, the same every time."""
    random = torch.Generator().manual_seed(0)
    position, anatomy = network.config.encoding.position_channels, network.config.encoding.anatomy_channels
    images = [torch.randn(batch, channels, *(patch,) * 3, generator=random) for channels in (1, position, anatomy)]
    t = torch.randint(0, 1000, (batch,), generator=random)
    return [images[0], t, images[1].clamp(-1, 1), images[2].sign(), torch.arange(batch) % 3]


@torch.no_grad()
def estimate(network: torch.nn.Module, inputs: list[torch.Tensor], precision: str) -> torch.Tensor:
    device = next(network.parameters()).device
    moved = [x.to(device) for x in inputs]
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        return network(*moved).float().cpu()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    folder = Path(MedDiffFMLib.__file__).with_name("bundled") / "meddiff-fm-small"
    network = load_network(folder, verify(folder)).eval()
    inputs = windows(network, 1, args.patch)
    truth = estimate(network, inputs, "float32")
    network, many, wrong = network.to(args.device), windows(network, args.batch, args.patch), False
    for precision, most in MOST.items():
        off = ((estimate(network, inputs, precision) - truth).abs().mean() / truth.abs().mean()).item()
        wrong |= not off <= most
        estimate(network, many, precision)
        began = time.perf_counter()
        for _ in range(args.rounds):
            estimate(network, many, precision)
        rate = args.rounds * args.batch / (time.perf_counter() - began)
        print(f"{precision}: off by {off:.2e} of the output (at most {most}), {rate:.1f} windows a second")
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
