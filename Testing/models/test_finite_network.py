"""What a network computes is a number: else it computes once more in float32, or one sentence says what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model, save_tiny_refiner

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.inference.noise_predictor import NoisePredictor
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.refinement.low_dose import LOW_DOSE

SHAPE = (16, 16, 16)


@pytest.fixture
def model(tmp_path):
    """A tiny model in bfloat16, with a refiner."""
    folder = save_tiny_model(tmp_path / "tiny", patch=16)
    save_tiny_refiner(folder, LOW_DOSE)
    return load_model(folder, device="cpu", precision="bfloat16", runtime="torch")


def predict_noise(model):
    labels = np.full(SHAPE, 118, np.uint8)
    eps = NoisePredictor(model, Conditions(labels, region=1), np.ones(SHAPE, bool), air=-1.0)
    return eps(torch.linspace(-1, 1, 16**3).reshape(SHAPE), 950)


def spoil(module, when):
    """Let a convolution give a NaN, as bfloat16 kernels of a processor do now and then, when `when(its output)`."""

    def one_nan(module, inputs, output):
        if when(output):
            output = output.clone()
            output[0, 0, 0, 0] = torch.nan
        return output

    return module.register_forward_hook(one_nan)


def test_a_nan_of_bfloat16_is_computed_again_in_float32(model, tmp_path):
    spoil(model.network.unet.conv_in, lambda output: output.dtype == torch.bfloat16)
    expected = predict_noise(load_model(tmp_path / "tiny", device="cpu", precision="float32", runtime="torch"))
    torch.testing.assert_close(predict_noise(model), expected, rtol=0, atol=0)


def test_a_nan_of_float32_is_one_sentence(model):
    spoil(model.network.unet.conv_in, lambda output: True)
    with pytest.raises(InputError, match="The model tiny computes values that are not numbers, in float32 too: "):
        predict_noise(model)


def test_of_a_refiner_too(model):
    refiner = model.refiner(LOW_DOSE.kind)
    features = torch.randn(2, refiner.config.inputs, 16, 16)
    spoil(next(part for part in refiner.modules() if isinstance(part, torch.nn.Conv2d)), lambda output: True)
    with torch.inference_mode(), model.autocast(), pytest.raises(InputError, match="computes values that are not"):
        model.evaluator(refiner)(features)


@torch.inference_mode()
def test_finite_values_are_those_of_the_network(model):
    refiner = model.refiner(LOW_DOSE.kind)
    features = torch.randn(2, refiner.config.inputs, 16, 16)
    with model.autocast():
        torch.testing.assert_close(model.evaluator(refiner)(features), refiner(features), rtol=0, atol=0)
    assert model.evaluator(refiner).config == refiner.config
