"""ControlNet: silent at first, heard once it is not zero, and stored with the weights that it belongs to."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import TINY, make_tiny_network, save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.inference.noise_predictor import NoisePredictor
from MedDiffFMLib.models.components import CONTROLNETS
from MedDiffFMLib.models.controlnet_folder import controlnet_names, load_controlnet, save_controlnet
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.condition_encoding import ConditionEncoding
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig


def _inputs(edge: int = 8) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    x_t, target = torch.randn(2, 1, 1, edge, edge, edge, generator=generator)
    planes = [torch.randn(1, n, edge, edge, edge, generator=generator) for n in (24, 7)]
    return x_t, torch.tensor([500]), *planes, torch.tensor([1]), target


def _speaking(control: ControlNet) -> ControlNet:
    """The same ControlNet with convolutions that are not zero any more, as after training."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weights in control.parameters():
            if not weights.any():
                weights.copy_(0.1 * torch.randn(weights.shape, generator=generator))
    return control


@pytest.fixture
def control() -> ControlNet:
    control = ControlNet(TINY, ControlNetConfig())
    control.start_from(make_tiny_network())
    return control.eval().requires_grad_(False)


def test_a_new_control_changes_nothing_to_the_bit(control):
    """Also with the target far from zero."""
    network, (*inputs, target) = make_tiny_network(), _inputs()
    plain = network(*inputs)
    assert plain.abs().mean() > 0.01
    assert torch.equal(network(*inputs, control(*inputs, 100 * target)), plain)


def test_the_copy_starts_from_the_encoder(control):
    """Where the target encoder is silent, the copy's first features are the U-Net's own."""
    network = make_tiny_network()
    copied = {n: v for n, v in control.net.state_dict().items() if "controlnet" not in n}
    own = network.unet.state_dict()
    assert len(copied) > 20 and all(torch.equal(own[n], v) for n, v in copied.items())


def test_another_target_gives_another_image_once_trained(control):
    network, (*inputs, target) = make_tiny_network(), _inputs()
    speaking = _speaking(control)
    one, other = (network(*inputs, speaking(*inputs, t)) for t in (target, -target))
    assert (one - other).abs().mean() > 0.01 * one.abs().mean()


@pytest.fixture
def folder(tmp_path, control):
    folder = save_tiny_model(tmp_path / "tiny")
    save_controlnet(folder, "lesion-lung", _speaking(control), {"steps": 3})
    return folder


def test_a_saved_control_is_the_same(folder, control):
    loaded = load_controlnet(load_model(folder), "lesion-lung")
    assert controlnet_names(folder) == ["lesion-lung"] and loaded.config == control.config
    inputs = _inputs()
    assert torch.equal(loaded(*inputs)[1], control(*inputs)[1])


def test_an_unknown_control_is_named_with_those_there_are(folder):
    with pytest.raises(InputError, match=r"no ControlNet 'lesion-liver' \(it has lesion-lung\)"):
        load_controlnet(load_model(folder), "lesion-liver")


def test_a_changed_control_is_refused(folder):
    weights = folder / "controlnets" / "lesion-lung" / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    with pytest.raises(InputError, match="checksum"):
        CONTROLNETS.verify(folder, "lesion-lung")


def test_a_control_of_other_weights_is_refused(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["weights"]["sha256"] = "0" * 64
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="trained for other weights"):
        CONTROLNETS.verify(folder, "lesion-lung")


def test_every_window_is_told_its_part_of_the_target(tiny_model, control):
    """A target that differs in one corner alone changes ε in the windows that meet it, and nowhere else."""
    shape = (16, 16, 44)  # windows of 16 along x begin at 0, 9, 19 and 28
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    target = np.zeros((1, *shape), np.float32)
    conditions = Conditions(np.ones(shape, np.uint8), 1, target=target)

    def epsilon(t: np.ndarray) -> torch.Tensor:
        body = np.ones(shape, bool)
        return NoisePredictor(tiny_model, replace(conditions, target=t), body, -1.0, control=_speaking(control))(x, 500)

    changed = target.copy()
    changed[..., 40:] = 1
    difference = (epsilon(target) - epsilon(changed)).abs().amax(dim=(0, 1))
    assert torch.all(difference[:28] == 0) and torch.all(difference[36:] > 0)


def test_a_part_keeps_its_place_in_the_whole():
    labels = np.arange(6 * 7 * 8, dtype=np.uint8).reshape(6, 7, 8) % 119
    whole = Conditions(labels, 0, target=labels[None].astype(np.float32))
    part = whole.part((1, 2, 3), (4, 4, 4))
    for of_whole, of_part in zip(whole.tile((2, 3, 4), (2, 2, 2)), part.tile((1, 1, 1), (2, 2, 2)), strict=True):
        assert torch.equal(of_whole, of_part)
    assert torch.equal(whole.tile_target((2, 3, 4), (2, 2, 2)), part.tile_target((1, 1, 1), (2, 2, 2)))


def test_a_coarse_grid_lies_within_the_whole():
    """Every second voxel of a row of 9, from the second on: positions −0.75, −0.25, 0.25, 0.75 by hand."""
    coarse = Conditions(
        np.zeros((1, 1, 4), np.uint8),
        0,
        ConditionEncoding(frequencies=1),
        whole=(1, 1, 9),
        offset=(0, 0, 1),
        step=(1, 1, 2),
    )
    position, _ = coarse.tile((0, 0, 0), (1, 1, 4))
    expected = np.sin(np.pi * np.array([-0.75, -0.25, 0.25, 0.75]))
    assert np.allclose(position[0, 0, 0].numpy(), expected, atol=1e-6)
