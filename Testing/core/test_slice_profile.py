"""The profile of a slice and the projection onto its means: against weights and least squares worked out by hand."""

import numpy as np
import pytest
import torch

from MedDiffFMLib.diffusion.slice_operators import cubic_slices
from MedDiffFMLib.diffusion.slice_profile import SliceProfile, round_sums

AXES = (-3, -2, -1)


def column(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)


def test_a_slice_of_5_mm_is_the_one_measured_on_the_phantom():
    """1 at 0, ±1, ±2 and ½ at ±3: of 6 in all. The first slice has its outer shoulder folded back onto itself."""
    rows = SliceProfile(4, 5, 1.0).matrix * 6
    expected = np.zeros(20)
    expected[4:11] = [0.5, 1, 1, 1, 1, 1, 0.5]
    assert rows[1] == pytest.approx(expected)
    expected = np.zeros(20)
    expected[:6] = [1.5, 1, 1, 1, 1, 0.5]
    assert rows[0] == pytest.approx(expected) and rows[3] == pytest.approx(expected[::-1])


def test_an_overlapping_series_by_hand():
    """5 mm every 2 mm, split in 1 mm; the middle of a thick slice is a face between two thin ones. A weight of 1 up to
    2.5 mm and ½ up to 3.5 mm gives 1, 1, (1 + ½)/2 and (½ + 0)/2 on either side.
    """
    row = SliceProfile(9, 2, 2.5).matrix[4] * 6
    assert row[4:14] == pytest.approx([0, 0.25, 0.75, 1, 1, 1, 1, 0.75, 0.25, 0]) and row.sum() == pytest.approx(6)


def test_a_gapped_series_by_hand():
    """1 mm every 5 mm: the middle thin slice, and .1 of each neighbor, where the shoulder of .2 mm lies."""
    row = SliceProfile(3, 5, 0.2).matrix[1] * 1.2
    assert row[5:10] == pytest.approx([0, 0.1, 1, 0.1, 0]) and row.sum() == pytest.approx(1.2)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(("factor", "thickness"), [(5, 1.0), (3, 2.0), (4, 0.25), (2, 1.6), (5, 0.8)])
def test_the_projection_is_the_nearest_image_with_the_means(axis, factor, thickness):
    """By the multipliers of min ‖x − x_0‖² with H·x = y, solved densely; a second time it changes nothing."""
    profile, rng = SliceProfile(6, factor, thickness), np.random.default_rng(0)
    H, x0, y = profile.matrix, rng.normal(size=(6 * factor, 4)), rng.normal(size=(6, 4))
    size = 6 * factor
    system = np.block([[np.eye(size), H.T], [H, np.zeros((6, 6))]])
    expected = np.linalg.solve(system, np.concatenate([x0, y]))[:size]
    thin, thick = (torch.from_numpy(a.reshape(-1, 2, 2)).float().movedim(0, axis).contiguous() for a in (x0, y))
    got = profile.project(thin, thick, axis)
    assert np.allclose(got.movedim(axis, 0).reshape(size, 4).numpy(), expected, atol=1e-5)
    assert torch.allclose(profile.means(got, axis), thick, atol=1e-5)
    assert torch.allclose(profile.project(got, thick, axis), got, atol=1e-5)


def test_two_slices_that_overlap_by_hand():
    """Two slices twice as thick as their distance, each split in two, and means of 1 and 0 asked of a blank image.

    In distances, the first slice weighs −½ … 1½ fully and .4 beyond either end by half. Thin slices of ½: the first has
    .5, and .5 folded onto it; the second .5, and .2 folded; the third .5; the fourth .2.
    """
    profile = SliceProfile(2, 2, 2.0)
    first = np.array([1.0, 0.7, 0.5, 0.2]) / 2.4
    assert profile.matrix == pytest.approx(np.array([first, first[::-1]]))
    H = np.array([first, first[::-1]])
    a, b = H[0] @ H[0], H[0] @ H[1]
    expected = (a * H[0] - b * H[1]) / (a * a - b * b)
    got = profile.project(torch.zeros(4, 1, 1), column(1, 0)).flatten().numpy()
    assert got == pytest.approx(expected, abs=1e-5)


def test_what_a_profile_cannot_tell_is_left_alone():
    """5 mm every 2 mm tells nothing of a wave of 6 mm: such a part of the thick slices is noise. It is not blown up;
    the other means are kept.
    """
    profile = SliceProfile(24, 2, 2.5)
    values = np.linalg.svd(profile.matrix, compute_uv=False)
    assert values.min() < 0.02 * values.max()
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 16, 16))).float()
    made = profile.project(torch.zeros(48, 16, 16), noise)
    assert made.std() < 10 * noise.std()
    real = profile.means(torch.from_numpy(np.random.default_rng(1).normal(size=(48, 16, 16))).float())
    assert (profile.means(profile.project(torch.zeros(48, 16, 16), real)) - real).abs().max() < 0.1


def test_the_smoothest_slices_of_plain_means_are_those_of_the_spline():
    """Where neither shoulder nor gap is, H is nearly the plain mean; a ramp stays one."""
    thick = torch.arange(12.0).reshape(12, 1, 1)
    ramp = SliceProfile(12, 5, 1.0).smoothest(thick)[25:35].flatten()
    assert ramp.tolist() == pytest.approx([4.6, 4.8, 5, 5.2, 5.4, 5.6, 5.8, 6, 6.2, 6.4], abs=0.02)
    wave = torch.sin(torch.arange(24.0) / 2).reshape(24, 1, 1)
    smooth, spline = SliceProfile(24, 5, 5 / 6).smoothest(wave), cubic_slices(wave, 5)
    assert (smooth - spline).abs()[20:-20].max() < 0.03
    gapped = SliceProfile(3, 5, 0.2)
    line = gapped.smoothest(column(0, 10, 0)).flatten().tolist()
    assert line[2] == pytest.approx(0, abs=1) and line[7] == pytest.approx(10, abs=1)
    assert line[2:8] == sorted(line[2:8])
    assert gapped.means(column(*line)).flatten().tolist() == pytest.approx([0, 10, 0], abs=1e-3)


def test_limits_keep_the_means_where_they_can():
    """A rim of −1000 to 40 HU: the projection leaves the scale of CT, limited it does not; a ceiling of 60 HU takes
    nearly all of the bright rim. The means stay.
    """
    truth = torch.full((40, 3, 3), -1000.0)
    truth[17:] = 40
    profile = SliceProfile(8, 5, 1.0)
    thick = profile.means(truth)
    none = torch.full_like(thick, torch.inf)
    thin = profile.project(profile.smoothest(thick) - 30, thick)
    assert thin.min() < -1024 and thin.max() > 90
    limited = profile.limit(thin, thick, -3, -1024, 3071, none)
    assert limited.min() >= -1024 and (profile.means(limited) - thick).abs().max() < 0.5
    lowered = profile.limit(thin, thick, -3, -1024, 3071, torch.full_like(thick, 60.0))
    assert lowered.max() < 65 and (profile.means(lowered) - thick).abs().max() < 0.5
    assert torch.equal(profile.limit(truth, thick, -3, -1024, 3071, none), truth)


def test_rounding_moves_a_mean_by_a_sixth_at_most():
    """A weight step of 1/12 at four places, each with a rounding of the sums of ½ at most: 1/6 HU; 1/4 at the ends,
    where the last weight is 1½ of 6.
    """
    profile = SliceProfile(6, 5, 1.0)
    thin = torch.from_numpy(np.random.default_rng(0).uniform(-1000, 1000, (30, 30, 30))).float()
    rounded = round_sums(thin)
    assert torch.equal(rounded, rounded.round()) and (rounded - thin).abs().max() < 1
    moved = (profile.means(rounded) - profile.means(thin)).abs()
    assert moved[1:-1].max() < 1 / 6 + 1e-3 and moved.max() < 1 / 4 + 1e-3
    assert torch.equal(round_sums(thin.movedim(0, 2), -1).movedim(2, 0), rounded)
