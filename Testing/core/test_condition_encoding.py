"""The forms in which the networks take position and anatomy, the paper's among them: by hand, and as the plain network
of all 118 masks computes.
"""

import dataclasses

import numpy as np
import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from monai.networks.nets.diffusion_model_unet import SpatialTransformer
from tiny_model import TINY
from torch.utils._python_dispatch import TorchDispatchMode

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.networks.anatomy_code import MASKS_AT_ONCE, MaskConvolution
from MedDiffFMLib.networks.condition_encoding import ConditionEncoding
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig
from MedDiffFMLib.networks.unet import Denoiser, NetworkConfig

MASKS = dataclasses.replace(TINY, anatomy_code="masks")
LABELS = torch.tensor([0, 1, 5, 117, 118, 119, 120, 121])  # the last three are this project's, of the paper's body


def one_hot(labels):
    """Mask k − 1 holds label k; 119 to 121 are body, 118. (B, 1, …) to (B, 118, …)."""
    return torch.cat([labels == k for k in range(1, 118)] + [labels >= 118], dim=1).float()


def inputs_of(config, edge=8):
    """Random inputs of a network, with labels of all kinds."""
    random = torch.Generator().manual_seed(3)
    labels = LABELS[torch.randint(0, len(LABELS), (2, edge, edge, edge), generator=random)]
    x = torch.randn(2, 1, edge, edge, edge, generator=random)
    axis = torch.linspace(-1, 1, edge)
    position = config.encoding.of_position(axis, axis, axis).expand(2, -1, -1, -1, -1)
    anatomy = torch.stack([config.encoding.of_anatomy(one) for one in labels])
    return x, torch.tensor([3, 900]), position, anatomy, torch.tensor([0, 2])


def with_random_end(network):
    for weights in network.unet.out.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return network


def test_positions_by_hand():
    px, py, pz = torch.tensor([-1.0, 0.5]), torch.tensor([0.25]), torch.tensor([1.0, 0.0])
    coordinates = ConditionEncoding("coordinates").of_position(px, py, pz)
    assert coordinates[:, 1, 0].tolist() == [[-1.0, 0.5], [0.25, 0.25], [0.0, 0.0]]
    assert coordinates[2, :, 0, 0].tolist() == [1.0, 0.0]
    assert ConditionEncoding("none").of_position(px, py, pz).shape == (0, 2, 1, 2)
    encoded = ConditionEncoding("encoding", frequencies=1).of_position(px, py, pz)
    assert encoded[:, 1, 0, 1].tolist() == pytest.approx([1, 0.5**0.5, 0, 0, 0.5**0.5, 1], abs=1e-6)


@pytest.mark.parametrize(
    ("position", "anatomy", "planes"),
    [("none", "masks", 119), ("coordinates", "bits", 11), ("encoding", "masks", 143), ("encoding", "bits", 32)],
)
def test_the_first_convolution_has_weights_for_every_plane(position, anatomy, planes):
    config = dataclasses.replace(TINY, position=position, anatomy_code=anatomy)
    network = Denoiser(config)
    assert network.state_dict()["unet.conv_in.conv.weight"].shape[1] == planes
    assert network(*inputs_of(config)).shape == (2, 1, 8, 8, 8)


def test_masks_are_the_plain_networks():
    """MONAI's U-Net on x_t, position and all 118 masks, with the same weights, gives the same image."""
    config = MASKS
    network = with_random_end(Denoiser(config))
    plain = DiffusionModelUNet(out_channels=1, num_class_embeds=3, **config.encoder_arguments())
    plain.load_state_dict(network.unet.state_dict())
    x, t, position, labels, region = inputs_of(config)
    expected = plain(torch.cat([x, position, one_hot(labels)], dim=1), t, class_labels=region)
    torch.testing.assert_close(network(x, t, position, labels, region), expected, atol=1e-5, rtol=1e-4)


def test_a_window_without_any_label_is_the_plain_convolution_too():
    """Air, or an anatomy that is not told: all 118 masks are zero."""
    torch.manual_seed(0)
    plain = torch.nn.Conv3d(2 + 118, 4, 3, padding=1)
    others, labels = torch.randn(1, 2, 6, 6, 6), torch.zeros(1, 1, 6, 6, 6)
    expected = plain(torch.cat([others, one_hot(labels)], dim=1))
    torch.testing.assert_close(MaskConvolution(plain)(torch.cat([others, labels], dim=1)), expected)


def test_gradients_of_masks_are_the_plain_convolutions():
    torch.manual_seed(0)
    plain = torch.nn.Conv3d(2 + 118, 4, 3, padding=1)
    masks = MaskConvolution(torch.nn.Conv3d(2 + 118, 4, 3, padding=1))
    masks.conv.load_state_dict(plain.state_dict())
    labels = LABELS[torch.randint(0, len(LABELS), (1, 1, 6, 6, 6))].float()
    others = torch.randn(1, 2, 6, 6, 6)
    plain(torch.cat([others, one_hot(labels)], dim=1)).square().sum().backward()
    masks(torch.cat([others, labels], dim=1)).square().sum().backward()
    torch.testing.assert_close(masks.conv.weight.grad, plain.weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(masks.conv.bias.grad, plain.bias.grad)
    assert not masks.conv.weight.grad[:, 2 + 9].any() and masks.conv.weight.grad[:, 2 + 117].any()


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def test_no_more_masks_than_some_at_once():
    """Of 118 masks in 16³ voxels, forward and backward: never more than MASKS_AT_ONCE (or the output) in one tensor."""
    edge, out = 16, 4
    masks = MaskConvolution(torch.nn.Conv3d(1 + 118, out, 3, padding=1))
    labels = torch.arange(edge**3).reshape(1, 1, edge, edge, edge).remainder(122).float()
    with Largest() as largest:
        masks(torch.cat([torch.zeros_like(labels), labels], dim=1)).sum().backward()
    assert largest.elements <= max(MASKS_AT_ONCE * edge**3, (1 + 118) * out * 27)


def test_the_transformer_attends_to_the_region():
    """MONAI's SpatialTransformer where attention was, and its answer depends on the region it attends to."""
    config = dataclasses.replace(TINY, attention="transformer")
    network = with_random_end(Denoiser(config)).eval()
    assert any(isinstance(module, SpatialTransformer) for module in network.modules())
    for weights in network.parameters():  # projections start at zero, so that nothing attended to would show
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    x, t, position, anatomy, region = inputs_of(config)
    with torch.inference_mode():
        context = network.unet.class_embedding(region)[:, None]
        full = torch.cat([x, position, anatomy], dim=1)
        expected = network.unet(full, t, context=context, class_labels=region)
        other = network.unet(full, t, context=context.flip(0), class_labels=region)
        assert torch.equal(network(x, t, position, anatomy, region), expected)
        assert not torch.allclose(other, expected)


def test_a_controlnet_of_the_papers_form_starts_as_the_locked_network():
    config = dataclasses.replace(MASKS, attention="transformer", position="coordinates")
    network = with_random_end(Denoiser(config))
    control = ControlNet(config, ControlNetConfig())
    control.start_from(network)
    x, t, position, anatomy, region = inputs_of(config)
    with torch.no_grad():
        residuals = control(x, t, position, anatomy, region, torch.ones_like(x))
        alone = network(x, t, position, anatomy, region)
        assert torch.equal(network(x, t, position, anatomy, region, residuals), alone)
    copied = control.net.state_dict()["conv_in.conv.weight"]
    assert torch.equal(copied, network.unet.conv_in.conv.weight)


def test_conditions_of_a_window_have_the_form_asked_for():
    labels = np.arange(4 * 4 * 4, dtype=np.uint8).reshape(4, 4, 4)
    conditions = Conditions(labels, 0, ConditionEncoding("coordinates", anatomy="masks"))
    position, anatomy = conditions.tile((1, 0, 2), (2, 2, 2))
    assert anatomy[0].tolist() == labels[1:3, 0:2, 2:4].tolist()
    assert position[:, 0, 0].tolist() == [pytest.approx([1 / 3, 1]), [-1, -1], pytest.approx([1 / 3, 1 / 3])]


@pytest.mark.parametrize("name", ["position", "anatomy_code", "attention"])
def test_an_unknown_form_is_refused(name):
    with pytest.raises(InputError, match=f"network.{name} is 'sinus' and must be "):
        NetworkConfig(**{name: "sinus"})
