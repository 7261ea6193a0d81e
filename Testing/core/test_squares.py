"""Squares in the slices of a mask: what SciPy finds with a structure of ones, whatever lies at the border."""

import numpy as np
import pytest
from scipy import ndimage

from MedDiffFMLib.volumes.squares import all_in_a_row, closed, dilated, eroded, opened


def masks():
    generator = np.random.default_rng(0)
    for shape in ((3, 31, 24), (2, 7, 40), (1, 5, 6), (2, 2, 3)):
        for density in (0.5, 0.9, 0.98, 1.0, 0.0):
            yield generator.random(shape) < density
    blobs = ndimage.gaussian_filter(generator.standard_normal((4, 60, 50)), (0, 4, 4))
    yield from (blobs > 0, blobs > 0.05, np.pad(blobs > 0, ((0, 0), (9, 0), (0, 9)), constant_values=True))


@pytest.mark.parametrize("side", [3, 5, 7])
def test_squares_are_those_of_scipy(side):
    structure = np.ones((1, side, side))
    for mask in masks():
        np.testing.assert_array_equal(eroded(mask, side), ndimage.binary_erosion(mask, structure))
        np.testing.assert_array_equal(dilated(mask, side), ndimage.binary_dilation(mask, structure))
        np.testing.assert_array_equal(opened(mask, side), ndimage.binary_opening(mask, structure))
        np.testing.assert_array_equal(closed(mask, side), ndimage.binary_closing(mask, structure))
        np.testing.assert_array_equal(eroded(mask[0], side), ndimage.binary_erosion(mask[0], structure[0]))


def test_a_closing_three_times_is_one_with_a_larger_square():
    for mask in masks():
        expected = ndimage.binary_closing(mask, np.ones((1, 3, 3)), iterations=3)
        np.testing.assert_array_equal(closed(mask, 7), expected)


@pytest.mark.parametrize("count", range(1, 9))
def test_a_row_is_marked_at_its_first_flag(count):
    flags = np.array([1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1], bool)
    expected = [bool(flags[i : i + count].all()) for i in range(len(flags) - count + 1)]
    assert all_in_a_row(flags, count, 0).tolist() == expected
    assert all_in_a_row(np.stack([flags, ~flags], 1), count, 0)[:, 0].tolist() == expected
    assert all_in_a_row(flags[:3], 5, 0).shape == (0,)
