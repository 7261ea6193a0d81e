"""The three numbers of a denoising — noise, grain, change of HU — against closed forms."""

import numpy as np
import pytest
from scipy import ndimage

from MedDiffFMLib.tasks.denoise_numbers import EDGE, denoise_numbers, even_places, grain_of, less_plane, tissue_changes
from MedDiffFMLib.tasks.strength import grains, largest_change, summary

SHAPE, SPACING = (12, 128, 128), (3.0, 0.8, 0.8)


@pytest.fixture
def tissues() -> np.ndarray:
    """Four quarters a slice: lung −800, fat −100, soft tissue 40, bone 600."""
    hu = np.full(SHAPE, 40, np.float32)
    hu[:, :64, :64], hu[:, :64, 64:], hu[:, 64:, 64:] = -800, -100, 600
    return hu


def test_noise_and_grain_of_white_noise_mixed_with_nothing(tissues):
    """What is left at k % is (1 − k/100) of the noise. White noise has the mean of frequencies 1 to 8 over 16 pixels
    of .8 mm, 4.5/12.8 mm, at every strength, and a little more as the plane that fits it is taken away.
    """
    body = np.ones(SHAPE, bool)
    noise = np.random.default_rng(0).normal(0, 20, SHAPE)
    numbers = denoise_numbers((tissues + noise).astype(np.float32), tissues, body, SPACING, [50.0, 70.0, 100.0], 20.0)
    assert list(numbers.grain_per_mm) == list(numbers.noise_hu) == ["0", "50", "70", "100"]
    assert numbers.noise_hu["50"] == pytest.approx(10, abs=1.5) and numbers.noise_hu["100"] < 1
    assert numbers.grain_per_mm["0"] == pytest.approx(4.5 / 12.8, rel=0.04)
    assert numbers.grain_per_mm["50"] == pytest.approx(numbers.grain_per_mm["0"], rel=1e-4)
    assert numbers.grain_per_mm["100"] is None, "no noise is left, so it has no grain"


def test_coarser_noise_has_a_lower_number():
    noise = np.random.default_rng(1).normal(size=SHAPE)
    places = [(0, 0, 0), (3, 32, 48), (11, 112, 112)]
    fine, coarse = (grain_of(ndimage.gaussian_filter(noise, (0, s, s)), places, 0.8) for s in (0.5, 1.5))
    assert coarse < 0.6 * fine


def test_a_plane_is_no_noise():
    """Of squares that rise by 2 a row and fall by 3 a column nothing is left, whatever their mean."""
    y, x = np.indices((EDGE, EDGE))
    assert less_plane(np.stack([7 + 2 * y - 3.0 * x, 0.0 * y - 1000])) == pytest.approx(0, abs=1e-9)


def test_the_most_even_squares_of_soft_tissue_are_chosen(tissues):
    """16 squares a slice are soft tissue, 16 fat, the rest is not looked at; the third with the least texture wins, and
    none reaches out of the body.
    """
    tissues[:6] += np.random.default_rng(2).normal(0, 30, (6, *SHAPE[1:]))  # the lower half is not even
    body = np.ones(SHAPE, bool)
    body[:, 120:] = False
    places = even_places(tissues, body)
    assert len(places) == round((12 + 16) * 12 / 3)
    assert all(z >= 6 for z, _, _ in places) and all(y + EDGE <= 120 for _, y, _ in places)
    assert all(tissues[z, y, x] in (40, -100) for z, y, x in places)
    assert even_places(np.full(SHAPE, 600, np.float32), body) == [], "bone alone"


def test_the_change_of_each_tissue(tissues):
    """A constant each: fat gains 2 HU, bone loses 5, and lung is too small to tell."""
    before = tissues.copy()
    before[tissues == -100] -= 2
    before[tissues == 600] += 5
    body = np.ones(SHAPE, bool)
    body[:, :64, :64] = False
    assert tissue_changes(before, tissues, body) == pytest.approx({"fat": 2, "soft": 0, "bone": -5})


def test_numbers_at_a_runs_strength():
    facts = {
        "noise_before_hu": 30.0,
        "noise_after_hu": 12.0,
        "sigma_hu": 30.0,
        "strength_percent": 60.0,
        "region": "chest",
        "grain_by_strength_per_mm": {"0": 0.2, "50": 0.19, "70": 0.17, "100": 0.12},
        "full_change_hu": {"lung": 1.0, "fat": -2.0},
    }
    assert grains(facts) == pytest.approx((0.2, 0.18)) and largest_change(facts) == ("fat", pytest.approx(-1.2))
    assert summary(facts) == (
        "Noise 30.0 HU → 12.0 HU (σ 30.0 HU, strength 60 %, chest), grain 0.200 → 0.180/mm, "
        "mean HU change at most -1.2 (fat)"
    )
    older = {key: value for key, value in facts.items() if key not in ("grain_by_strength_per_mm", "full_change_hu")}
    assert summary(older) == "Noise 30.0 HU → 12.0 HU (σ 30.0 HU, strength 60 %, chest)"
