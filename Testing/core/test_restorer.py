"""The restorer: its network, the noise map, its inputs, and how its answer is used; values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from MedDiffFMLib.networks.refiner import ORIENTATIONS
from MedDiffFMLib.networks.restorer import Restorer, RestorerConfig, on_any_size
from MedDiffFMLib.refinement.noise_inputs import INPUTS, NoiseInputs, compand
from MedDiffFMLib.refinement.noise_map import NoiseMap, grain, high_pass, local_noise, scan_noise

SPACING = (2.0, 1.0, 1.0)


def restorer(std: float = 0.05) -> Restorer:
    """A small one of random weights, its last convolution's too (0: as new)."""
    torch.manual_seed(0)
    network = Restorer(RestorerConfig(INPUTS, (4, 4, 8, 8)))
    torch.nn.init.normal_(network.leave.weight, std=std)
    return network.eval().requires_grad_(False)


def scan(seed: int = 0, shape: tuple[int, int, int] = (10, 48, 40), sigma_hu: float = 20.0) -> torch.Tensor:
    """A bright ball in soft tissue, with white noise."""
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    ball = 100.0 * ((2 * z - 10) ** 2 + (y - 24) ** 2 + (x - 20) ** 2 < 100)
    noise = np.random.default_rng(seed).normal(0, sigma_hu, shape)
    return torch.from_numpy((40 + ball + noise).astype(np.float32))


def inputs(y: torch.Tensor, sigma_hu: float = 20.0, absolute: bool = True) -> NoiseInputs:
    sigma, fineness = scan_noise(y, SPACING, sigma_hu, torch.ones_like(y, dtype=torch.bool))
    return NoiseInputs(y, sigma, fineness, SPACING, absolute)


def test_the_usual_network_has_a_million_weights_and_takes_any_size():
    network = Restorer(RestorerConfig(INPUTS))
    assert sum(weights.numel() for weights in network.parameters()) == pytest.approx(1.05e6, rel=0.01)
    assert on_any_size(network)(torch.zeros(2, INPUTS, 37, 50)).shape == (2, 37, 50)


def test_a_new_network_changes_nothing():
    y = scan()
    assert torch.equal(inputs(y).restored(restorer(std=0.0)), y)


def test_no_window_and_no_clamp():
    """−3000 and 20,000 HU are kept as they are where no noise is found."""
    y = scan()
    y[0, 0, 0], y[5, 10, 10] = -3000.0, 20000.0
    assert torch.equal(inputs(y).restored(restorer(std=0.0)), y)


def test_what_is_added_to_a_scan_is_added_to_its_result_and_what_multiplies_it_too():
    """x̂(a·y + c) = a·x̂(y) + c, where HU and σ are not told."""
    y, network = scan(), restorer()
    usual = inputs(y, absolute=False).restored(network)
    assert (usual - y).std() > 0.1  # the network does something
    body = torch.ones_like(y, dtype=torch.bool)
    sigma, fineness = scan_noise(y, SPACING, 20.0, body)
    shifted = NoiseInputs(y + 300, sigma, fineness, SPACING, absolute=False).restored(network)
    scaled = NoiseInputs(2.5 * y, sigma.scaled(2.5, 0.0), fineness, SPACING, absolute=False).restored(network)
    assert torch.allclose(shifted, usual + 300, atol=2e-3)
    assert torch.allclose(scaled, 2.5 * usual, atol=5e-3)


def test_the_map_itself_follows_what_multiplies_a_scan():
    y = scan()
    once, thrice = local_noise(y, SPACING), local_noise(3 * y + 70, SPACING)
    assert torch.allclose(thrice.blocks, 3 * once.blocks, rtol=1e-3)


@pytest.mark.parametrize("edges", [False, True])
def test_the_noise_of_each_slice_is_found(edges):
    """20 HU in most of a stack and 40 in its last slices, within 10 %; 20 % where a bone ends."""
    rng, strength = np.random.default_rng(1), np.repeat([20.0, 40.0], [14, 6])[:, None, None]
    y = 40 + strength * rng.normal(size=(20, 96, 96))
    if edges:
        y[:, :, 40:48] += 1000.0  # a bone of 8 mm
    sigma, fineness = scan_noise(
        torch.from_numpy(y.astype(np.float32)), SPACING, 20.0, torch.ones(20, 96, 96, dtype=torch.bool)
    )
    low, high = (sigma.at(torch.tensor([z])).median() for z in (3, 18))
    assert (float(low), float(high)) == (pytest.approx(20.0, rel=0.1), pytest.approx(40.0, rel=0.1))
    beside_bone = sigma.at(torch.tensor([3]))[0, :, 40:48].median()
    assert float(beside_bone / low) == pytest.approx(1.0, rel=0.2)
    assert fineness == pytest.approx(1.0, rel=0.3)  # white


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 3.0])
def test_noise_and_grain_are_found_whatever_the_pixels(pixel_mm):
    """White noise of 20 HU: blocks of 9 pixels had said .75 for its grain, those of 144 pixels .92, and the map was as
    much too low.
    """
    y = torch.from_numpy(np.random.default_rng(5).normal(40, 20, (9, 128, 128)).astype(np.float32))
    spacing, body = (2.0, pixel_mm, pixel_mm), torch.ones_like(y, dtype=torch.bool)
    sigma, fineness = scan_noise(y, spacing, 20.0, body)
    assert fineness == pytest.approx(1.0, rel=0.04)
    found = local_noise(y, spacing).at(torch.arange(9)).median()
    assert found == pytest.approx(high_pass(y, spacing).std().item(), rel=0.05)
    assert sigma.at(torch.arange(9)).median() == pytest.approx(20, rel=0.01)


def test_grain_is_not_that_of_the_quietest_tissue_only():
    """Much noise at 3 mm pixels: blocks with a voxel outside −150 … 220 HU counted as no soft tissue, saying 1.3."""
    y = torch.from_numpy(np.random.default_rng(6).normal(-60, 80, (9, 96, 96)).astype(np.float32))
    fineness = scan_noise(y, (2.0, 3.0, 3.0), 80.0, torch.ones_like(y, dtype=torch.bool))[1]
    assert fineness == pytest.approx(1.0, rel=0.04)


def test_grain_is_one_for_white_noise_and_less_for_coarse():
    """Means of neighbors x and x + 1: differences have (n₂ − n₀)/2, σ/√2 of √2·σ·√½, so that grain is √½."""
    white = torch.from_numpy(np.random.default_rng(2).normal(size=(4, 128, 128)).astype(np.float32))
    assert grain(white) == pytest.approx(1.0, rel=0.03)
    coarse = (white[..., 1:] + white[..., :-1]) / 2
    assert grain(coarse) == pytest.approx(math.sqrt(0.5), rel=0.03)


def test_a_scan_without_noise_has_a_map_without_holes():
    y = torch.full((6, 40, 40), 40.0)
    sigma, fineness = scan_noise(y, SPACING, 12.0, torch.ones_like(y, dtype=torch.bool))
    assert torch.allclose(sigma.at(torch.arange(6)), torch.tensor(12.0))
    assert fineness == 1.0


def test_large_differences_count_by_their_logarithm():
    d = torch.tensor([-8.0 * math.e, -8.0, -1.5, 0.0, 3.0, 8.0, 8.0 * math.e**2])
    assert torch.allclose(compand(d), torch.tensor([-16.0, -8.0, -1.5, 0.0, 3.0, 8.0, 24.0]))


def test_features_are_differences_to_the_middle_slice_in_units_of_noise():
    """Slices of 0, 10, 20 … HU and σ = 5: those around slice 4 differ by −6, −4, −2, 0, 2, 4, 6 σ; ends repeat."""
    y = torch.arange(9.0)[:, None, None].expand(9, 32, 32) * 10
    flat = scan_noise(torch.zeros(9, 32, 32), SPACING, 5.0, torch.ones(9, 32, 32, dtype=torch.bool))[0]
    found = NoiseInputs(y, flat, 0.5, SPACING).features(torch.tensor([4, 0]))[:, :, 16, 16]
    assert torch.allclose(found[0, :7], torch.tensor([-6.0, -4, -2, 0, 2, 4, 6]), atol=1e-4)
    assert torch.allclose(found[1, :7], torch.tensor([0.0, 0, 0, 0, 2, 4, 6]), atol=1e-4)
    told = [math.asinh(40 / 150), math.log(5 / 20), 0.0, math.log(2 / 2.5), math.log(1 / 0.9)]
    assert torch.allclose(found[0, 7:], torch.tensor(told), atol=1e-4)


def test_a_slab_at_a_time_is_the_whole():
    """More slices than are computed at once, against all at once."""
    y, network = scan(shape=(19, 32, 32)), restorer()
    told = inputs(y)
    z = torch.arange(19)
    whole = y - told.sigma.at(z) * network(told.features(z))
    assert torch.allclose(told.restored(network), whole, atol=1e-3)


def test_orientations_are_averaged():
    """A quarter turn of the scan turns the mean over all eight, and not the answer of one."""
    y, network = scan(shape=(8, 48, 48)), restorer()
    assert len(ORIENTATIONS) == 8
    told = inputs(y)
    sigma = NoiseMap(told.sigma.blocks.mT, told.sigma.edge, (48, 48))
    turned = NoiseInputs(y.mT.contiguous(), sigma, told.grain, SPACING)
    assert torch.allclose(told.restored(network, 8), turned.restored(network, 8).mT, atol=1e-3)
    assert not torch.allclose(told.restored(network, 1), turned.restored(network, 1).mT, atol=1e-3)
