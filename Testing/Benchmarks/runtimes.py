"""Times of the bundled networks in PyTorch and in OpenVINO on a CPU, by turns, and how far their outputs differ."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from MedDiffFMLib.models.loading import Model, load_model
from MedDiffFMLib.networks.controlnet import ControlledDenoiser
from MedDiffFMLib.refinement.low_dose import LOW_DOSE
from MedDiffFMLib.tasks.one_step_slices import ONE_STEP

ROUNDS, EDGE, SLICES, PIXELS = 3, 64, 8, 256


def window_inputs(model: Model) -> list[torch.Tensor]:
    """The inputs of the network for a window of random values."""
    encoding, shape = model.network.config.encoding, (EDGE,) * 3
    codes = [torch.rand(1, count, *shape) for count in (encoding.position_channels, encoding.anatomy_channels)]
    return [torch.randn(1, 1, *shape), torch.tensor([200]), *codes, torch.tensor([1])]


def cpu_seconds(network: Callable, inputs: list[torch.Tensor]) -> float:
    """The CPU time of one evaluation."""
    started = time.process_time()
    network(*inputs)
    return time.process_time() - started


@torch.inference_mode()
def main() -> None:
    """Print a line for each network."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = load_model("meddiff-fm-small", device="cpu", precision="float32", runtime="openvino")
    control, refiner = model.controlnet(ONE_STEP), model.refiner(LOW_DOSE.kind)
    window = window_inputs(model)
    features = torch.randn(SLICES, LOW_DOSE.inputs, PIXELS, PIXELS).contiguous(memory_format=torch.channels_last)
    joint = ControlledDenoiser(model.network, control)
    for name, torchs, openvinos, inputs in (
        ("network", model.network, model.evaluator(model.network), window),
        ("with a ControlNet", joint, model.evaluator(model.network, control), [*window, torch.rand_like(window[0])]),
        ("refiner", refiner, model.evaluator(refiner), [features]),
    ):
        expected, found = torchs(*inputs), openvinos(*inputs)  # the first evaluation converts and compiles
        error = float((found - expected).abs().mean() / expected.abs().mean())
        seconds = [[cpu_seconds(network, inputs) for network in (torchs, openvinos)] for _ in range(ROUNDS)]
        of_torch, of_openvino = (min(times) for times in zip(*seconds, strict=True))
        ratio = of_openvino / of_torch
        print(f"{name:20} PyTorch {of_torch:.2f}  OpenVINO {of_openvino:.2f}  ratio {ratio:.2f}  error {error:.1e}")


if __name__ == "__main__":
    main()
