"""The arithmetic of the networks at the paper's size, counted without computing it, and the hours that it would take.

    python Testing/Benchmarks/flops_at_the_papers_size.py [--tflops 312] [--share 0.4]

PyTorch's counter goes over the recipes' networks on the device `meta`. An operation is a multiplication or an addition,
of convolutions and matrix products alone. All 118 masks are counted, though those of organs that a window does not show
are left out. Hours are an estimate: `--tflops` is the peak of a GPU (an A100's: 312 in bfloat16, 156 in TF32, as which
it computes float32), `--share` how much of it is assumed to be reached.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from MedDiffFMLib.networks.anatomy_code import PLANES
from MedDiffFMLib.networks.controlnet import ControlledDenoiser, ControlNet, ControlNetConfig
from MedDiffFMLib.networks.unet import Denoiser, NetworkConfig

RECIPES = Path(__file__).parents[2] / "Training" / "recipes" / "base"
WINDOWS, CASES, STEPS = (
    48,
    493,
    991,
)  # of 128³ in a chest of 360 × 360 × 320 mm; at most in 5 % of Table I; from t = 990
EVALUATIONS = {  # of a window: by the network alone, and with a ControlNet
    "a CT of 48 windows from noise": (STEPS * WINDOWS, 0),
    "Table III or IV, a model": (STEPS * WINDOWS * CASES, 0),
    "Table V, ten patients": (88 * WINDOWS * 10, 0),
    "Table VII, 100 cases": (0, 100 * WINDOWS * 100),
    "Table VIII, 74 cases and their twins": (STEPS * WINDOWS * 74, STEPS * WINDOWS * 74),
    "Table IX, 74 cases of one window, two seeds": (0, 2 * STEPS * 74),
}


@dataclass(frozen=True)
class Operations:
    """The operations of a network: of an evaluation in a window, and of a sample in training."""

    evaluation: int
    sample: int


def count_operations(config: NetworkConfig, with_control: bool = False) -> Operations:
    """The operations in a window of a network's own size. with_control: of the locked network with a ControlNet."""
    shape = (config.patch,) * 3
    with torch.device("meta"):
        network = Denoiser(config)
        _take_planes(network.unet)
        joint, target = network, ()
        if with_control:
            control = ControlNet(config, ControlNetConfig())
            _take_planes(control.net)
            joint, target = ControlledDenoiser(network.requires_grad_(False), control), (torch.empty(1, 1, *shape),)
        number, position = torch.zeros(1, dtype=torch.long), config.encoding.position_channels
        x, position, anatomy = (torch.empty(1, n, *shape) for n in (1, position, PLANES[config.anatomy_code]))
        inputs = (x, number, position, anatomy, number, *target)
        with FlopCounterMode(display=False) as evaluation, torch.no_grad():
            joint(*inputs)
        with FlopCounterMode(display=False) as sample:
            joint(*inputs).sum().backward()
    return Operations(evaluation.get_total_flops(), sample.get_total_flops())


def _take_planes(net: torch.nn.Module) -> None:
    """Let the first convolution take all planes at once, where it would choose by what a label map holds."""
    net.conv_in = net.conv_in.conv


def read_network(recipe: str) -> tuple[NetworkConfig, int]:
    """The network of a recipe in `recipes/base`, and the samples of its run."""
    settings = json.loads((RECIPES / f"{recipe}.json").read_text(encoding="utf-8"))
    samples = settings["steps"] * settings["batch"] * settings["accumulate"]
    return NetworkConfig.from_dict(settings.get("network", {})), samples


def estimates(rate: float) -> dict[str, float]:
    """The hours on one GPU of everything that the tables need. rate: operations a second."""
    network, samples = read_network("paper")
    alone, controlled = count_operations(network), count_operations(network, with_control=True)
    operations = {
        "pre-training": samples * alone.sample,
        "a ControlNet": read_network("control-pair")[1] * controlled.sample,
    }
    for name, (without, with_control) in EVALUATIONS.items():
        operations[name] = without * alone.evaluation + with_control * controlled.evaluation
    return {name: count / rate / 3600 for name, count in operations.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=312)
    parser.add_argument("--share", type=float, default=0.4)
    args = parser.parse_args()
    rate = args.tflops * 1e12 * args.share
    for name, with_control in {"the network": False, "with a ControlNet": True}.items():
        cost = count_operations(read_network("paper")[0], with_control)
        sample, evaluation = (f"{count / 1e12:.2f} TFLOP" for count in (cost.sample, cost.evaluation))
        print(f"{name}: a sample {sample}, r = {cost.sample / rate:.3f} s; ", end="")
        print(f"an evaluation {evaluation}, e = {cost.evaluation / rate:.3f} s")
    for name, hours in estimates(rate).items():
        print(f"{name}: {float(f'{hours:.2g}'):g} h on one GPU")


if __name__ == "__main__":
    main()
