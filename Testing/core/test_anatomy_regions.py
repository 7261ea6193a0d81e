"""Anatomy code, body, regions and HU windows."""

import numpy as np
import pytest
import torch

from MedDiffFMLib.anatomy import tissue
from MedDiffFMLib.anatomy.body_regions import split_body
from MedDiffFMLib.anatomy.region_detection import detect_region
from MedDiffFMLib.anatomy.regions import ABDOMEN, CHEST, HEAD_NECK
from MedDiffFMLib.anatomy.tissue import BodyImage, body_mask, find_tissue, lung_mask
from MedDiffFMLib.networks.anatomy_code import encode_labels
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.intensity import to_hu, to_model
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.noise_level import estimate_noise


def test_code_is_the_binary_number_of_the_label():
    labels = torch.tensor([0, 1, 5, 64, 118]).reshape(1, 1, 5)
    bits = encode_labels(labels)[:, 0, 0].T.tolist()
    assert bits == [
        [0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 1, 1, 0, 1, 1, 1],  # 118 = 2 + 4 + 16 + 32 + 64
    ]


def test_all_119_codes_differ():
    codes = encode_labels(torch.arange(119).reshape(1, 1, 119)).reshape(7, 119).T
    assert len({tuple(c) for c in codes.tolist()}) == 119


@pytest.mark.parametrize(
    ("region", "hu", "x"),
    [
        (CHEST, -500, 0.0),
        (CHEST, -2000, -1.0),
        (ABDOMEN, 60, 0.0),
        (ABDOMEN, 150, 0.5),
        (HEAD_NECK, 250, 1.0),
        (HEAD_NECK, 3000, 1.0),
    ],
)
def test_windows_of_the_paper(region, hu, x):
    """Level 50 width 400, level −500 width 1800, level 60 width 360."""
    assert to_model(np.array([hu]), region.window)[0] == pytest.approx(x, abs=1e-6)
    assert to_model(np.array([hu]), (np.float64(region.window[0]), region.window[1])).dtype == np.float32


def test_hu_come_back():
    hu = np.linspace(-120, 240, 7)
    assert to_hu(to_model(hu, ABDOMEN.window), ABDOMEN.window) == pytest.approx(hu, abs=1e-3)


def test_body_is_the_largest_part_with_its_inside():
    """A ring of tissue is a body with lungs; a small block beside it is a table."""
    hu = np.full((3, 40, 40), -1000.0)
    hu[:, 5:30, 5:30] = 40
    hu[:, 12:20, 12:20] = -850
    hu[:, 35:38, 5:30] = 100
    body = body_mask(hu)
    assert body[:, 12:20, 12:20].all() and not body[:, 34:].any()
    assert not body_mask(np.full((2, 9, 9), -1000.0)).any()


@pytest.mark.parametrize(("name", "region"), [("abd_ts_example", ABDOMEN), ("chest_ts_aorta", CHEST)])
def test_region_of_real_ct(data, name, region):
    frame = prepare(read_volume(data / f"{name}.nii.gz"))
    assert detect_region(BodyImage(frame.hu, frame.spacing)) is region


def test_region_of_a_skull():
    """A narrow shell of bone filled with brain; no CT of a head may be kept in the repository."""
    z, y, x = np.mgrid[:20, :100, :100]
    radius = np.hypot(y - 50, x - 50) * 2.0
    hu = np.where(radius < 70, 35.0, np.where(radius < 85, 900.0, -1000.0)) + 0.0 * z
    assert detect_region(BodyImage(hu, (2.0, 2.0, 2.0))) is HEAD_NECK


def chest_with_contrast(margin: int) -> np.ndarray:
    """10 slices of 90 × 90 voxels of 2 mm (324 cm²): tissue, lung in 40 · 40 of them (20 %), a heart at 400 HU in
    36 · 36 (16 %); with `margin` voxels of air around it.
    """
    hu = np.full((10, 90, 90), 40.0)
    hu[:, 5:45, 5:45] = -800
    hu[:, 50:86, 50:86] = 400
    return np.pad(hu, ((0, 0), (margin, margin), (margin, margin)), constant_values=-1000.0)


def test_a_cropped_chest_full_of_contrast_is_no_head():
    """It fills its slices, so it was cut off and its width says nothing; a whole body of its size is as narrow and as
    bony as a head: 324 cm² of 400 cm² are 81 % with 5 voxels of air around it, of 484 cm² with 10 voxels 67 % (π/4 is
    79 %).
    """
    for margin, region in ((0, CHEST), (5, CHEST), (10, HEAD_NECK)):
        hu = chest_with_contrast(margin)
        assert detect_region(BodyImage(hu, (2.0, 2.0, 2.0))) is region


def test_every_level_of_the_hearts_in_a_real_cropped_chest_is_chest(data):
    """100 mm of it, as about a lesion; at the aortic valve more than 20 % is above 300 HU."""
    frame = prepare(read_volume(data / "chest_ts_aorta.nii.gz"))
    body = body_mask(frame.hu)
    for middle in (50, 90, 130, 160, 200):
        some = slice(max(middle - 50, 0), middle + 50)
        assert detect_region(BodyImage(frame.hu[some], frame.spacing, body[some])) is CHEST


@pytest.mark.parametrize("sigma", [10.0, 30.0])
def test_noise_is_measured_in_hu(sigma):
    """White noise of known strength in even tissue with a bone in it, at 1 mm."""
    rng = np.random.default_rng(0)
    hu = np.full((8, 90, 90), 50.0)
    hu[:, 40:50, 40:50] = 800
    noisy = hu + rng.normal(0, sigma, hu.shape)
    assert estimate_noise(noisy, np.ones(hu.shape, bool), (1.0, 1.0, 1.0)) == pytest.approx(sigma, rel=0.05)


def test_noise_of_lung_alone_is_unknown():
    hu = np.full((4, 50, 50), -850.0)
    assert estimate_noise(hu, np.ones(hu.shape, bool), (1.0, 1.0, 1.0)) is None


def test_a_phantom_without_noise_has_none():
    hu = np.full((4, 50, 50), 40.0)
    assert estimate_noise(hu, np.ones(hu.shape, bool), (1.0, 1.0, 1.0)) == 0.0


def test_added_noise_is_found_in_real_ct(data):
    """Variances add: √(own² + 25²), within 15 %."""
    frame = prepare(read_volume(data / "abd_ts_example.nii.gz"))
    body = body_mask(frame.hu)
    own = estimate_noise(frame.hu, body, frame.spacing)
    noisy = frame.hu + np.random.default_rng(0).normal(0, 25, frame.hu.shape)
    assert estimate_noise(noisy, body, frame.spacing) == pytest.approx(np.hypot(own, 25), rel=0.15)


@pytest.mark.parametrize("name", ["abd_ts_example", "chest_ts_aorta"])
def test_an_image_finds_what_its_functions_find_once(data, name, monkeypatch):
    """Body, lungs, region, parts and tissue of one image look for lungs once; slices of it keep the whole's."""
    frame = prepare(read_volume(data / f"{name}.nii.gz"))
    lung, body = lung_mask(frame.hu), body_mask(frame.hu)
    asked = []
    monkeypatch.setattr(tissue, "lung_mask", lambda hu: asked.append(hu.shape) or lung_mask(hu))
    image = BodyImage(frame.hu, frame.spacing)
    assert asked == [], "before anybody asked"
    assert np.array_equal(image.body, body) and np.array_equal(image.lungs, lung & body)
    detect_region(image), split_body(image), find_tissue(image)
    some = image.slices(slice(3, 9))
    assert np.array_equal(some.body, body[3:9]) and np.array_equal(some.lungs, (lung & body)[3:9])
    assert some.hu.base is not None and some.spacing == frame.spacing
    assert asked == [frame.hu.shape]
    assert np.array_equal(image.lungs, lung & body), "somebody wrote into it"


def test_an_image_takes_a_body_that_is_known():
    hu = np.full((2, 20, 20), -800.0)
    given = np.zeros(hu.shape, bool)
    given[:, 5:15, 5:15] = True
    image = BodyImage(hu, (1.0, 1.0, 1.0), given)
    assert image.body is given and np.array_equal(image.lungs, given)
    assert np.array_equal(image.slices(slice(1)).lungs, given[:1])
