"""The painted label map that synthesis may begin from, by hand."""

import numpy as np
import pytest
from scipy import ndimage

from MedDiffFMLib.anatomy.classes import ORGANS
from MedDiffFMLib.anatomy.reference_hu import USUAL_HU
from MedDiffFMLib.anatomy.regions import ABDOMEN, CHEST, HEAD_NECK
from MedDiffFMLib.inference.levels import level_of
from MedDiffFMLib.tasks import hu_template
from MedDiffFMLib.tasks.hu_template import HuTemplate, render_labels
from MedDiffFMTraining.evaluate.metrics.real_hu import REAL_HU

LIVER, KIDNEY, LUNG, BONE, BODY, ILIOPSOAS = 5, 3, 119, 120, 118, 88


def test_every_class_has_a_usual_hu_within_real_patients_range():
    assert set(USUAL_HU) == set(ORGANS)
    assert {n for n, (low, high) in REAL_HU.items() if not low <= USUAL_HU[n] <= high} == set()
    assert set(ORGANS) - set(REAL_HU) == {BODY, 121}


def test_the_paint_by_hand():
    """Along y, 4 mm voxels: air, twelve of other body, a liver, up to the border, which is no skin."""
    line = np.array([0] * 2 + [BODY] * 12 + [LIVER] * 2, np.uint8)
    labels = np.tile(line[None, :, None], (3, 1, 3))
    fat, soft, liver = -100, 30, 52
    # the first voxel of the body is 4 mm from the nearest of the air, the third 12
    assert render_labels(labels, (5.0, 4.0, 4.0), ABDOMEN)[1, :, 1].tolist() == (
        [-1000] * 2 + [fat] * 3 + [soft] * 9 + [liver] * 2
    )
    muscles = labels.copy()
    muscles[0, 15, 0] = ILIOPSOAS  # this map names muscles: what lies between its organs is fat
    assert (render_labels(muscles, (5.0, 4.0, 4.0), ABDOMEN)[1, 2:14, 1] == fat).all()


def test_bones_of_a_head_are_skull():
    labels = np.full((2, 2, 2), BONE, np.uint8)
    assert (render_labels(labels, (1.0, 1.0, 1.0), HEAD_NECK) == 850).all() and (
        render_labels(labels, (1.0,) * 3, CHEST) == 420
    ).all()


def test_edges_are_soft_by_a_millimeter():
    """A step of 130 HU, smoothed by σ = 1 mm: half-way at the edge, Φ(0.5) and Φ(1.5) of it at the nearest voxels."""
    hu = np.full((8, 8, 16), -100, np.float32)
    hu[:, :, 8:] = 30
    own = level_of("own", hu.shape, (1.0, 1.0, 1.0), 0)
    line = HuTemplate(hu, (1.0, 1.0, 1.0), ABDOMEN.window).at(own)[4, 4]
    assert line[[6, 7, 8, 9]] == pytest.approx(-100 + 130 * np.array([0.067, 0.309, 0.691, 0.933]), abs=1.5)


def test_texture_is_added_to_the_paint_and_keeps_what_lies_beyond_the_window():
    """x_0 = the clipped paint + 36 HU gives the paint + 36 HU everywhere, lungs of −830 HU included; a coarser level
    adds its own at its own places alone, and the edges stay those of the label map.
    """
    hu = np.full((8, 8, 64), -830, np.float32)
    hu[:, :, 32:] = 30
    painted = HuTemplate(hu, (1.0, 1.0, 1.0), ABDOMEN.window)
    for name in ("own", "double", "image"):
        level = level_of(name, hu.shape, painted.spacing, 8)
        clipped = np.clip(painted.at(level), -120, 240)
        x0 = (clipped + 36 + 120) / 180 - 1
        assert painted.textured(x0.astype(np.float32), level) == pytest.approx(
            painted.at(level_of("own", hu.shape, painted.spacing, 0)) + 36, abs=0.01
        )


def test_skin_is_as_near_as_scipy_finds_it():
    """Any shapes and spacings, a body that reaches the border, holes; 15 × 0.8 mm are near, which rounds to more."""
    generator = np.random.default_rng(0)
    for spacing in ((5.0, 4.0, 3.0), (1.5, 1.5, 1.5), (2.5, 0.8, 0.8), (12.0, 6.0, 2.0)):
        noise = ndimage.gaussian_filter(generator.standard_normal((12, 30, 28)), 3)
        for body in (noise > 0, noise > -0.1, noise > 0.1):
            padded = np.pad(body, 1, mode="edge")
            depth = ndimage.distance_transform_edt(padded, sampling=spacing)[1:-1, 1:-1, 1:-1]
            found = render_labels(np.where(body, np.uint8(BODY), np.uint8(0)), spacing, ABDOMEN)
            np.testing.assert_array_equal(found[body] == -100, depth[body] < 12 + 1e-6)


def test_without_any_air_there_is_no_skin():
    assert (render_labels(np.full((4, 4, 4), BODY, np.uint8), (1.0, 1.0, 1.0), ABDOMEN) == 30).all()


def test_a_level_is_painted_once(monkeypatch):
    """It begins a sample and is taken from its end; further samples begin from the same."""
    blurs = []
    blur = ndimage.gaussian_filter
    monkeypatch.setattr(hu_template.ndimage, "gaussian_filter", lambda *a, **k: blurs.append(1) or blur(*a, **k))
    painted = HuTemplate(np.zeros((8, 8, 8), np.float32), (1.0, 1.0, 1.0), ABDOMEN.window)
    level = level_of("image", (8, 8, 8), painted.spacing, 4)
    first = painted.at(level)
    assert painted.at(level) is first and len(blurs) == 1
    painted.textured(np.zeros((4, 4, 4), np.float32), level)
    assert len(blurs) == 2  # and once for the map's own grid
