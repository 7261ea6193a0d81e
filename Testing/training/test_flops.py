"""The operations of a network of the paper's size: counted as by hand, and the document's hours are the script's."""

import re
import sys

import torch
from training_runs import REPOSITORY

from MedDiffFMLib.networks.unet import Denoiser, NetworkConfig

sys.path.insert(0, str(REPOSITORY / "Testing" / "Benchmarks"))
from flops_at_the_papers_size import count_operations, estimates, read_network

SMALL = NetworkConfig(
    channels=(8, 16), attention_levels=(False, False), head_channels=8, norm_groups=8, patch=16, anatomy_code="masks"
)


def test_an_evaluation_is_counted_as_its_layers_say():
    """Two operations a weight and voxel of every convolution and linear layer; attention's own products, 4·N²·C in the
    middle block, are counted too.
    """
    by_hand = 0

    def count(module, inputs, output):
        nonlocal by_hand
        places = output.numel() // output.shape[1 if output.dim() == 5 else -1]
        by_hand += 2 * module.weight.numel() * places

    network = Denoiser(SMALL)
    network.unet.conv_in = network.unet.conv_in.conv  # takes all 118 masks at once
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv3d, torch.nn.Linear)):
            module.register_forward_hook(count)
    planes = torch.zeros(1, 118, 16, 16, 16)
    position = torch.zeros(1, SMALL.encoding.position_channels, 16, 16, 16)
    with torch.no_grad():
        number = torch.tensor([0])
        network(torch.zeros(1, 1, 16, 16, 16), number, position, planes, number)
    attention = 4 * (8**3) ** 2 * 16
    assert count_operations(SMALL).evaluation == by_hand + attention


def test_a_locked_network_costs_less_than_a_trained_one():
    """A ControlNet adds its evaluation; in training the locked encoder has no gradient at all."""
    alone, controlled = count_operations(SMALL), count_operations(SMALL, with_control=True)
    assert controlled.evaluation > alone.evaluation and 2.5 < alone.sample / alone.evaluation < 3
    assert controlled.sample < 2 * alone.sample


def test_the_documents_hours_are_the_scripts():
    """Each row of the table of estimates, at 40 % of 312 TFLOP/s, in two digits."""
    text = (REPOSITORY / "Docs" / "reproducing-the-paper.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([\d,.]+) \| ", text, re.MULTILINE))
    expected = estimates(0.4 * 312e12)
    assert set(expected) <= set(rows)
    assert {name: float(rows[name]) for name in expected} == {name: float(f"{h:.2g}") for name, h in expected.items()}
    assert read_network("paper")[1] == 725_700
