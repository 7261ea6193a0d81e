"""Lesion masks: where ellipsoids are placed, and how a lesion fades in."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy.lesion_masks import blend_weights, bounding_box, place_ellipsoid, place_lesion
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

LIVER = 5


@pytest.fixture(scope="module")
def anatomy(data) -> Volume:
    """61 organs of a real abdomen and pelvis, 3 mm."""
    return read_volume(data / "abd_ts_example_seg.nii.gz")


def widest_mm(mask, spacing):
    """The largest distance of two voxel centers of a mask."""
    points = np.argwhere(mask) * spacing
    return max(np.linalg.norm(points - p, axis=1).max() for p in points)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8), (1.0, 2.0, 1.5)])
def test_an_ellipsoid_has_its_size_in_mm_whatever_the_voxels(spacing):
    """Its longest axis is 30 mm, its volume that of semi-axes 15 · (1, a, b) with a and b from 0.7 to 1."""
    organ = np.ones([round(80 / s) for s in spacing], bool)
    for seed in range(3):
        mask = place_ellipsoid(organ, spacing, 30.0, np.random.default_rng(seed))
        volume = mask.sum() * np.prod(spacing)
        ball = 4 / 3 * np.pi * 15**3
        assert 0.45 * ball < volume < 1.03 * ball
        assert 30 - 2 * max(spacing) <= widest_mm(mask, spacing) <= 30


def test_an_ellipsoid_lies_wholly_inside_and_off_the_border():
    organ = np.zeros((30, 40, 50), bool)
    organ[0:20, 5:30, 20:] = True
    for seed in range(30):
        mask = place_ellipsoid(organ, (1, 1, 1), 12.0, np.random.default_rng(seed))
        assert mask.any() and not mask[~organ].any()
        assert all(0 < first and last < n for (first, last), n in zip(bounding_box(mask), organ.shape, strict=True))


def test_places_are_random_and_follow_the_seed():
    organ = np.ones((40, 40, 40), bool)
    run = lambda seed: place_ellipsoid(organ, (1, 1, 1), 8.0, np.random.default_rng(seed))  # noqa: E731
    assert np.array_equal(run(3), run(3))
    centers = np.array([np.argwhere(run(seed)).mean(axis=0) for seed in range(40)])
    assert (centers.std(axis=0) > 6).all()  # even over 5 … 34: 8.7
    shapes = {int(run(seed).sum()) for seed in range(10)}
    assert len(shapes) > 5


def test_what_does_not_fit_is_said_with_what_does():
    organ = np.zeros((40, 40, 40), bool)
    organ[10:21, 10:30, 10:30] = True  # 11 mm thick: 6 mm from the middle to the first voxel outside
    place_ellipsoid(organ, (1, 1, 1), 11.9, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"20 mm does not fit .* 12 mm"):
        place_ellipsoid(organ, (1, 1, 1), 20.0, np.random.default_rng(0))
    with pytest.raises(InputError, match="nothing of the organ"):
        place_ellipsoid(~np.ones((9, 9, 9), bool), (1, 1, 1), 2.0, np.random.default_rng(0))


def test_a_lesion_in_a_real_liver(anatomy):
    mask = place_lesion(anatomy, (LIVER,), diameter_mm=25.0, seed=4)
    assert mask.same_grid(anatomy) and mask.voxels.dtype == np.uint8
    assert set(np.unique(anatomy.voxels[mask.voxels > 0])) == {LIVER}
    assert 25 - 6 <= widest_mm(mask.voxels > 0, mask.spacing[::-1]) <= 25


def test_a_lesion_fades_in_by_depth():
    """A slab of 9 voxels of 2 mm: depths 2, 4, 6, … mm; over 5 mm 0.4, 0.8, 1. A small one is new in its core."""
    slab = np.zeros((20, 20, 13), bool)
    slab[1:19, 1:19, 2:11] = True
    share = blend_weights(slab, (9.0, 9.0, 2.0), 5.0)
    assert share[10, 10] == pytest.approx([0, 0, 0.4, 0.8, 1, 1, 1, 1, 1, 0.8, 0.4, 0, 0])
    dot = np.zeros((5, 5, 5), bool)
    dot[2, 2, 2] = True
    assert blend_weights(dot, (1, 1, 1), 10.0)[2, 2, 2] == 1
    assert blend_weights(slab, (9.0, 9.0, 2.0), 0.0)[10, 10].tolist() == [0] * 2 + [1] * 9 + [0] * 2
