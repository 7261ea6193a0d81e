"""What the network may predict: ε as in the paper, or v."""

import math
from dataclasses import replace

import numpy as np
import torch
from tiny_model import TINY, make_tiny_network

from MedDiffFMLib.diffusion.samplers import predict_x0
from MedDiffFMLib.inference.noise_predictor import NoisePredictor
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.networks.unet import as_eps, v_target


def test_v_by_hand():
    """ᾱ = 0.64: √ᾱ = 0.8, √(1 − ᾱ) = 0.6. x_0 = 0.5, ε = −1: x_t = −0.2, v = −0.8 − 0.3 = −1.1, and back."""
    x0, epsilon = torch.tensor([0.5]), torch.tensor([-1.0])
    v = v_target(x0, epsilon, torch.tensor(0.64))
    assert torch.allclose(v, torch.tensor([-1.1]))
    back = as_eps(v, torch.tensor([-0.2]), 0.64, "v")
    assert torch.allclose(back, epsilon) and torch.allclose(predict_x0(torch.tensor([-0.2]), back, 0.64), x0)


def test_v_keeps_x0_where_epsilon_in_bfloat16_loses_it():
    """At ᾱ = 1e-4 the rounding of bfloat16 costs x_0 a hundredfold in ε, and nothing more than itself in v."""
    generator = torch.Generator().manual_seed(0)
    x0, epsilon = torch.rand(1000, generator=generator) * 2 - 1, torch.randn(1000, generator=generator)
    alpha = 1e-4
    x_t = math.sqrt(alpha) * x0 + math.sqrt(1 - alpha) * epsilon
    v = v_target(x0, epsilon, torch.tensor(alpha)).bfloat16().float()
    by_v = predict_x0(x_t, as_eps(v, x_t, alpha, "v"), alpha)
    by_epsilon = predict_x0(x_t, epsilon.bfloat16().float(), alpha)
    assert (by_v - x0).abs().max() < 0.01 < 0.1 < (by_epsilon - x0).abs().mean()


def test_the_noise_model_turns_v_into_epsilon(tiny_model):
    """The same weights read as v: ε̂ = √(1 − ᾱ)·x_t + √ᾱ·output, window for window."""
    network = make_tiny_network()
    network.config = replace(TINY, prediction="v")
    as_v = replace(tiny_model, network=network)
    x = torch.randn(16, 16, 30, generator=torch.Generator().manual_seed(1))
    conditions = Conditions(np.ones((16, 16, 30), np.uint8), 0)
    output, epsilon = (
        NoisePredictor(model, conditions, np.ones(x.shape, bool), -1.0)(x, 600) for model in (tiny_model, as_v)
    )
    alpha = float(tiny_model.schedule.alpha_bar[600])
    assert torch.allclose(epsilon, math.sqrt(1 - alpha) * x + math.sqrt(alpha) * output, atol=1e-5)
