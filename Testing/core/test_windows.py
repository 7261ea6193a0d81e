"""Windows and their blending; the noise model over them."""

import numpy as np
import pytest
import torch

from MedDiffFMLib.inference.noise_predictor import NoisePredictor
from MedDiffFMLib.inference.tiles import Tiling, axis_starts, plan_tiles
from MedDiffFMLib.networks.anatomy_code import encode_labels
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.networks.position import encode_position, tile_axes


@pytest.mark.parametrize(
    ("length", "size", "overlap", "starts"),
    [
        (10, 16, 0.25, [0]),
        (16, 16, 0.25, [0]),
        (17, 16, 0.25, [0, 1]),
        (28, 16, 0.25, [0, 12]),  # exactly a quarter
        (40, 16, 0.25, [0, 12, 24]),
        (32, 16, 0.0, [0, 16]),
    ],
)
def test_starts(length, size, overlap, starts):
    assert axis_starts(length, size, overlap) == starts


@pytest.mark.parametrize("shape", [(16, 16, 16), (5, 40, 17), (33, 16, 50), (1, 1, 100)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.8])
def test_weights_sum_to_one_everywhere(shape, overlap):
    plan = plan_tiles(shape, (16, 16, 16), Tiling(overlap))
    total = torch.zeros(shape)
    for window in plan.tiles:
        assert total[plan.slices(window)].shape == plan.size  # no window leaves the volume
        total[plan.slices(window)] += window.weight()
    assert total.sub(1).abs().max() < 1e-6


def test_weights_fade_where_windows_overlap():
    plan = plan_tiles((1, 1, 28), (1, 1, 16), Tiling(0.25))
    first = plan.tiles[0].weight().flatten()
    assert first[:12].sub(1).abs().max() < 1e-6  # alone there
    assert (first[12:].diff() < 0).all() and first[15] < 0.1 and first[12] > 0.9


def test_only_windows_that_touch_the_mask():
    plan = plan_tiles((16, 16, 48), (16, 16, 16), Tiling(0.0))
    mask = np.zeros((16, 16, 48), bool)
    mask[3, 3, 20] = True
    assert [w.start for w in plan.touching(mask)] == [(0, 0, 16)]


def _conditions(shape, region=1):
    labels = np.where(np.arange(shape[0])[:, None, None] < shape[0] // 2, 118, 5) * np.ones(shape)
    return Conditions(labels.astype(np.uint8), region)


def test_a_window_is_told_its_own_place_and_labels():
    shape = (9, 10, 11)
    labels = np.random.default_rng(0).integers(0, 119, shape).astype(np.uint8)
    position, anatomy = Conditions(labels, 0).tile((2, 3, 4), (5, 6, 7))
    whole = encode_position(*tile_axes(shape, (0, 0, 0), shape, (1, 1, 1)))
    assert torch.equal(position, whole[:, 2:7, 3:9, 4:11])
    assert torch.equal(anatomy, encode_labels(torch.from_numpy(labels[2:7, 3:9, 4:11])))
    nowhere, _ = Conditions(labels, 0, placed=False).tile((2, 3, 4), (5, 6, 7))
    assert not nowhere.any()


def test_one_window_is_the_network_itself(tiny_model):
    """Where one window covers the volume, ε is the network's own estimate with the conditions of the whole."""
    shape = (16, 16, 16)
    conditions = _conditions(shape)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    estimate = NoisePredictor(tiny_model, conditions, np.ones(shape, bool), -1.0)(x, 300)
    position, anatomy = conditions.tile((0, 0, 0), shape)
    direct = tiny_model.network(x[None, None], torch.tensor([300]), position[None], anatomy[None], torch.tensor([1]))[
        0, 0
    ]
    assert estimate.sub(direct).abs().max() < 1e-5


def test_overlapping_windows_are_averaged_with_their_weights(tiny_model):
    """By hand for two windows: the blend is Σ weight · estimate."""
    shape = (16, 16, 24)
    conditions = _conditions(shape)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    eps = NoisePredictor(tiny_model, conditions, np.ones(shape, bool), -1.0, Tiling(0.25))
    assert [w.start for w in eps.active] == [(0, 0, 0), (0, 0, 8)]
    expected = torch.zeros(shape)
    for window in eps.active:
        where = eps.plan.slices(window)
        position, anatomy = conditions.tile(window.start, (16, 16, 16))
        one = tiny_model.network(
            x[where][None, None], torch.tensor([40]), position[None], anatomy[None], torch.tensor([1])
        )[0, 0]
        expected[where] += window.weight() * one
    assert eps(x, 40).sub(expected).abs().max() < 1e-5


def test_windows_of_air_are_not_computed_and_give_air_back(tiny_model):
    """There ε must be such that x_0 = (x_t − √(1−ᾱ)ε)/√ᾱ is exactly air."""
    shape = (16, 16, 64)
    body = np.zeros(shape, bool)
    body[:, :, :10] = True
    eps = NoisePredictor(tiny_model, _conditions(shape), body, air=-0.5, tiling=Tiling(0.0))
    assert len(eps.active) == 1 and len(eps.skipped) == 3
    x = torch.randn(shape)
    alpha = float(tiny_model.schedule.alpha_bar[100])
    x0 = (x - (1 - alpha) ** 0.5 * eps(x, 100)) / alpha**0.5
    assert x0[:, :, 16:].add(0.5).abs().max() < 1e-5
    assert x0[:, :, :16].add(0.5).abs().max() > 0.1


@pytest.mark.parametrize("shape", [(16, 16, 40), (5, 9, 33)])
def test_batches_of_windows_give_the_same(tiny_model, shape):
    """Also for an axis shorter than what the network divides by (5 and 9 are mirrored to 8 and 12)."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    body = np.ones(shape, bool)
    one, three = (
        NoisePredictor(tiny_model, _conditions(shape), body, -1.0, Tiling(batch=count))(x, 80) for count in (1, 3)
    )
    assert one.shape == x.shape
    assert one.sub(three).abs().max() < 1e-5


def test_raising_from_a_window_stops(tiny_model):
    calls = []

    def stop(done, total):
        calls.append((done, total))
        raise KeyboardInterrupt

    shape = (16, 16, 64)
    eps = NoisePredictor(tiny_model, _conditions(shape), np.ones(shape, bool), -1.0, Tiling(0.0), on_tile=stop)
    with pytest.raises(KeyboardInterrupt):
        eps(torch.zeros(shape), 10)
    assert calls == [(1, 4)]


def test_the_papers_windows_are_averaged_alike():
    """Two windows of 16 share four voxels of 28: half of each there, whole elsewhere."""
    plan = plan_tiles((1, 1, 28), (1, 1, 16), Tiling(0.25, "mean"))
    assert [tile.weight().flatten().tolist() for tile in plan.tiles] == [
        [1.0] * 12 + [0.5] * 4,
        [0.5] * 4 + [1.0] * 12,
    ]


def test_impossible_tilings_are_refused():
    with pytest.raises(ValueError, match=r"between 0 and 0\.9, got 1"):
        Tiling(1)
    with pytest.raises(ValueError, match="must be fade or mean, got 'round'"):
        Tiling(weights="round")
