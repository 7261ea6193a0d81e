"""Non-local means against its definition, voxel by voxel."""

import math

import numpy as np
import pytest
import torch

import MedDiffFMLib.refinement.non_local_means as nlm
from MedDiffFMLib.errors import Cancelled


@pytest.fixture
def noisy() -> np.ndarray:
    """Two tissues 5 apart, noise of 1: (7, 9, 8)."""
    y = np.random.default_rng(0).normal(size=(7, 9, 8)).astype(np.float32)
    y[:, 4:] += 5
    return y


def _by_definition(y, voxel, sigma, h, patch, distance) -> float:
    """The sum over q written out, with copies of the last voxels beyond the ends."""
    half = patch // 2
    padded = np.pad(y.astype(float), half + distance, mode="edge")
    place = lambda v: tuple(slice(i + distance, i + distance + patch) for i in v)  # noqa: E731
    total = weights = 0.0
    for shift in np.ndindex(*(3 * (2 * distance + 1,))):
        q = [v + s - distance for v, s in zip(voxel, shift, strict=True)]
        apart = np.mean((padded[place(voxel)] - padded[place(q)]) ** 2)
        weight = math.exp(-max(apart - 2 * sigma**2, 0) / h**2)
        total += weight * padded[tuple(i + half + distance for i in q)]
        weights += weight
    return total / weights


@pytest.mark.parametrize(("patch", "distance"), [(3, 2), (5, 1), (1, 1)])
def test_voxels_are_those_of_the_definition(noisy, patch, distance):
    found = nlm.non_local_means(torch.from_numpy(noisy), 1.0, 0.8, patch, distance).numpy()
    for voxel in [(3, 4, 4), (0, 0, 0), (6, 8, 7), (3, 3, 0)]:
        assert found[voxel] == pytest.approx(_by_definition(noisy, voxel, 1.0, 0.8, patch, distance), abs=1e-5)


def test_two_tissues_far_apart_are_not_mixed():
    """No noise, a step of 100 at σ = 1: a patch that differs has no weight, so every voxel keeps its value."""
    step = torch.zeros(6, 6, 6)
    step[3:] = 100.0
    assert torch.equal(nlm.non_local_means(step, 1.0), step)


def test_blocks_leave_no_trace(noisy, monkeypatch):
    whole = nlm.non_local_means(torch.from_numpy(noisy), 1.0)
    for slices, rows in ((3, 32), (24, 2), (2, 4)):
        monkeypatch.setattr(nlm, "SLAB", slices)
        monkeypatch.setattr(nlm, "ROWS", rows)
        assert torch.allclose(nlm.non_local_means(torch.from_numpy(noisy), 1.0), whole, atol=1e-6)


def test_it_can_be_stopped(noisy, monkeypatch):
    """It counts the 25 rows of shifts from 0 on in each of two slabs."""
    monkeypatch.setattr(nlm, "SLAB", 4)

    def stop(done, total):
        calls.append((done, total))
        if done == 30:
            raise Cancelled

    calls = []
    with pytest.raises(Cancelled):
        nlm.non_local_means(torch.from_numpy(noisy), 1.0, on_part=stop)
    assert calls == [(n, 50) for n in range(1, 31)]
