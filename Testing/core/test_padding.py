"""Areas of one constant value are no tissue: out of the body and of the noise, left as they are, and said."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.noise_level import estimate_noise
from MedDiffFMLib.volumes.padding import find_padding, with_padding_warning
from MedDiffFMLib.volumes.volume import Volume


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    image = sitk.DICOMOrient(sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz")), "LPS")[:, :, 60:84]
    return Volume.from_sitk(sitk.Cast(image, sitk.sitkInt16), "ct.nii.gz")


def turned(ct: Volume, padding: float, degrees: float = 10.0) -> Volume:
    """Turned about the long axis, as a program that fills the corners."""
    image = ct.to_sitk()
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    turn = sitk.Euler3DTransform(middle, 0, 0, np.radians(degrees))
    return Volume.from_sitk(sitk.Resample(image, image, turn, sitk.sitkLinear, padding), ct.source)


def corners(ct: Volume) -> np.ndarray:
    """Where the turned volume has nothing of the CT: bool (z, y, x)."""
    return turned(ct.with_voxels(np.ones(ct.voxels.shape, np.int16)), 0).voxels == 0


def noise(volume: Volume, spacing_mm=None) -> float:
    frame = prepare(volume, spacing_mm)
    return estimate_noise(frame.hu, body_mask(frame.hu), frame.spacing)


@pytest.mark.parametrize("padding", [0, -400, -700, 40, 3071, 32767])
def test_the_corners_of_a_turned_ct_are_found_and_nothing_else(ct, padding):
    found = find_padding(turned(ct, padding).voxels)
    right = corners(ct)
    assert found[right].mean() > 0.93  # all but the tips of the triangles, narrower than 3 voxels
    assert found[~right].mean() < 0.001
    assert find_padding(turned(ct, padding).voxels.astype(np.float32)).sum() == found.sum()


@pytest.mark.parametrize(("spacing_mm", "within"), [(None, 0.02), (1.0, 0.2)])  # splines ring about the corners
def test_the_noise_is_that_of_the_tissue(ct, spacing_mm, within):
    """What it is with corners of air; without care it was 0.3 HU."""
    assert noise(turned(ct, 0), spacing_mm) == pytest.approx(noise(turned(ct, -1000), spacing_mm), rel=within)


def test_padding_is_no_body(ct):
    padded, right = turned(ct, 0), corners(ct)
    body = body_mask(padded.voxels)
    assert not body[find_padding(padded.voxels)].any() and body[~right].mean() > 0.9


def test_a_ct_in_a_large_frame_of_zeros(ct):
    voxels = np.pad(ct.voxels, ((6, 6), (80, 80), (80, 80)))
    found = find_padding(voxels)
    assert found[:6].all() and found[:, :80].all()
    assert found[6:-6, 80:-80, 80:-80].mean() < 1e-4  # what is 0 HU there by chance
    assert noise(Volume(voxels, ct.spacing)) == pytest.approx(noise(ct), abs=0.6)


def test_a_blanked_area_within_the_body_and_metal(ct):
    voxels = ct.voxels.copy()
    voxels[5:15, 60:80, 50:75] = 0  # of what must not be seen
    found = find_padding(voxels)
    assert found.sum() == 10 * 20 * 25 and found[5:15, 60:80, 50:75].all()
    voxels[5:15, 60:80, 50:75] = 3071
    assert find_padding(voxels) is None  # saturated


@pytest.mark.parametrize("name", ["chest_ts_aorta", "abd_ts_example"])
def test_a_real_ct_has_none(data, name):
    image = sitk.DICOMOrient(sitk.ReadImage(str(data / f"{name}.nii.gz")), "LPS")
    voxels = sitk.GetArrayFromImage(image)
    for some in (voxels, np.clip(voxels, -1000, 1000), np.where(voxels < -900, -2000, voxels)):
        assert find_padding(some) is None


def test_a_phantom_without_noise_keeps_its_body():
    voxels = np.full((12, 60, 60), -1000, np.int16)
    voxels[:, 10:, 10:50] = 40  # to the border
    voxels[:, 20:30, 20:30] = 100
    assert find_padding(voxels) is None and body_mask(voxels)[:, 12:, 12:48].all()


def test_it_is_said_when_it_is_much(ct):
    (sentence,) = with_padding_warning(turned(ct, 0)).warnings
    assert sentence.startswith("7 % of ct.nii.gz hold one value (0 HU)")
    assert with_padding_warning(ct).warnings == with_padding_warning(turned(ct, -1000)).warnings == ()
    voxels = ct.voxels.copy()
    voxels[3:6, :20, :20] = 0
    assert with_padding_warning(ct.with_voxels(voxels)).warnings == ()


def test_the_result_holds_the_padding_as_it_was(ct, tiny_model):
    whole = turned(ct, 0)
    padded = replace(whole, voxels=np.ascontiguousarray(whole.voxels[:, :64, :64]))  # with one corner
    check_ct(padded)
    result = denoise(padded, tiny_model, steps=2, quality="fast", sigma=20.0, region="chest")
    padding = find_padding(padded.voxels)
    assert (result.volume.voxels[padding] == 0).all()
    assert (result.volume.voxels != padded.voxels)[~padding].mean() > 0.3
