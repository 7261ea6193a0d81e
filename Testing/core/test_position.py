"""Position against values worked out by hand."""

import math

import pytest
import torch

from MedDiffFMLib.networks.position import axis_coordinates, encode_position, tile_axes


def tile_code(whole, start, size, step, frequencies=4):
    """The encoded position of a tile, as the network gets it."""
    return encode_position(*tile_axes(whole, start, size, step), frequencies)


def test_coordinates_of_the_three_levels():
    """A whole axis of 5 voxels has the coordinates −1, −½, 0, ½, 1."""
    assert axis_coordinates(5, 0, 5).tolist() == [-1, -0.5, 0, 0.5, 1]  # the whole image, voxel by voxel
    assert axis_coordinates(5, 2, 3).tolist() == [0, 0.5, 1]  # a crop keeps its place in the whole image
    # a crop of 4 voxels resized to 2: samples between voxels 0|1 and 2|3, at 0.5 and 2.5
    assert axis_coordinates(5, 0.5, 2, 2).tolist() == [-0.75, 0.25]


def test_encoding_follows_equation_6():
    """At p = (½, 0, −1): sin πp = (1, 0, 0), cos πp = (0, 1, −1), sin 2πp = (0, 0, 0), cos 2πp = (−1, 1, 1)."""
    half, zero, one = (torch.tensor([v]) for v in (0.5, 0.0, -1.0))
    code = encode_position(half, zero, one, frequencies=2).flatten().tolist()
    assert code == pytest.approx([1, 0, 0, 0, 1, -1, 0, 0, 0, -1, 1, 1], abs=1e-6)


def test_corners_are_upper_left_back_and_bottom_right_front():
    """(−1, −1, −1) is the upper left back corner: x grows to the right, y to the front, and z downwards."""
    code = tile_code((3, 3, 3), (0, 0, 0), (3, 3, 3), (1, 1, 1), frequencies=1)
    x_sine, y_sine, z_sine = code[0], code[1], code[2]
    quarter = tile_code((5, 5, 5), (3, 3, 3), (1, 1, 1), (1, 1, 1), frequencies=1)[:3].flatten()
    assert quarter.tolist() == pytest.approx([1, 1, -1], abs=1e-6)  # voxel 3 of 5: p = (½, ½, −½) since z is turned
    for sine in (x_sine, y_sine, z_sine):
        assert sine.abs().max() < 1e-6  # sin(−π), sin 0, sin π


def test_arrays_are_z_y_x():
    """A window that differs along x only changes along its last axis."""
    code = tile_code((8, 8, 8), (0, 0, 0), (2, 3, 4), (1, 1, 1), frequencies=4)
    assert code.shape == (24, 2, 3, 4)
    assert torch.equal(code[0, 0, 0], code[0, 1, 2])
    expected = [math.sin(math.pi * (2 * i / 7 - 1)) for i in range(4)]
    assert code[0, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_crop_of_the_whole_has_the_coordinates_of_the_whole():
    whole = tile_code((9, 10, 11), (0, 0, 0), (9, 10, 11), (1, 1, 1))
    part = tile_code((9, 10, 11), (2, 3, 4), (5, 5, 5), (1, 1, 1))
    assert torch.equal(part, whole[:, 2:7, 3:8, 4:9])
