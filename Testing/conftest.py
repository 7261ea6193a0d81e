"""What the tests share: the repository's real CT and a tiny model with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from MedDiffFMLib.models import Model
from MedDiffFMLib.network import Denoiser, NetworkConfig
from MedDiffFMLib.schedule import cosine_schedule

DATA = Path(__file__).parent / "Data"
TINY = NetworkConfig(
    channels=(8, 8, 16), attention_levels=(False, False, True), head_channels=8, norm_groups=8, patch=16
)


@pytest.fixture(scope="session", autouse=True)
def few_threads():
    """Small tensors gain nothing from many threads, and the tests may run beside other work."""
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def tiny_network() -> Denoiser:
    """A network with the real one's parts, random weights, and an output that is not zero."""
    torch.manual_seed(0)
    network = Denoiser(TINY)
    for weights in network.unet.out.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_model(tiny_network) -> Model:
    return Model(
        name="tiny",
        folder=Path("tiny"),
        source="test",
        config={},
        network=tiny_network,
        schedule=cosine_schedule(),
        device=torch.device("cpu"),
        dtype=torch.float32,
        sha256="0" * 64,
    )
