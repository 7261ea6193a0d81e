"""The schedule against numbers computed independently with Python's decimal arithmetic."""

import math

import numpy as np
import pytest

from MedDiffFMLib.diffusion.schedule import check_steps, cosine_schedule, quadratic_steps, uniform_steps


def test_alpha_bar_is_the_squared_cosine_until_beta_is_clipped():
    """Without clipping the product telescopes: ᾱ_t = f(t+1)/f(0), whatever the steps between."""
    schedule = cosine_schedule()
    f = lambda t: math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2  # noqa: E731
    for t in (0, 1, 87, 499, 950, 990):
        assert schedule.alpha_bar[t] == pytest.approx(f(t + 1) / f(0), rel=1e-12)
    assert schedule.alpha_bar.dtype == np.float64
    assert schedule.alpha_bar[999] == pytest.approx(2.4287669e-09, rel=1e-7)  # β clipped at 0.999
    assert schedule.alpha_bar[950] == pytest.approx(0.00582, abs=5e-6)


def test_t_of_sigma_gives_the_known_starts():
    """σ_n → t_start for T = 1000, as derived by hand from cos² (field notes of the project)."""
    schedule = cosine_schedule()
    known = {0.05: 24, 0.1: 55, 0.15: 87, 0.2: 118, 0.3: 178, 0.5: 289, 1.0: 495}
    assert {sigma: schedule.t_of_sigma(sigma) for sigma in known} == known


def test_sigma_bar_inverts():
    schedule = cosine_schedule()
    alpha = schedule.alpha_bar[200]
    assert schedule.sigma_bar(200) ** 2 * alpha == pytest.approx(1 - alpha, rel=1e-12)
    with pytest.raises(ValueError, match="positive"):
        schedule.t_of_sigma(0.0)


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (10, 3, [10, 5, 0]),
        (87, 1, [87]),
        (3, 100, [3, 2, 1, 0]),  # never a timestep twice
        (0, 5, [0]),
        (99, 4, [99, 66, 33, 0]),
    ],
)
def test_uniform_steps_end_at_zero(start, count, expected):
    assert uniform_steps(start, count) == expected


@pytest.mark.parametrize("steps", [[], [5, 5, 0], [0, 5], [1000, 0], [5, -1]])
def test_bad_steps_are_refused(steps):
    with pytest.raises(ValueError, match="descend"):
        check_steps(steps, 1000)


def test_quadratic_steps_by_hand():
    """100·(i/4)² for i = 4 … 0; no timestep twice; always down to 0."""
    assert quadratic_steps(100, 5) == [100, 56, 25, 6, 0]
    assert quadratic_steps(9, 10) == [9, 7, 5, 4, 3, 2, 1, 0]
    assert (quadratic_steps(87, 1), quadratic_steps(0, 5)) == ([87], [0])
    with pytest.raises(ValueError, match="count"):
        quadratic_steps(5, 0)
