"""The model's frame: order of axes, 1 mm, and back."""

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.io import read_labels, read_volume
from MedDiffFMLib.volumes.volume import Volume

LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def test_frame_is_ras():
    """A bright voxel at the patient's left, back and top: in LPS at the end of x, y and z; in RAS x and y at 0."""
    voxels = np.zeros((3, 4, 5), np.int16)
    voxels[2, 3, 4] = 100
    frame = prepare(Volume(voxels, (1, 2, 3), (0, 0, 0), LPS))
    assert frame.hu[2, 0, 0] == 100
    assert frame.spacing == (3, 2, 1) and frame.hu.dtype == np.float32


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "RIA", "PSL"])
def test_own_grid_comes_back_exactly(data, orientation):
    image = sitk.DICOMOrient(read_volume(data / "chest_ts_aorta.nii.gz").to_sitk()[20:50, 30:70, 10:40], orientation)
    volume = Volume.from_sitk(image)
    frame = prepare(volume)
    assert np.array_equal(frame.restore(frame.hu), volume.voxels)


def test_one_millimeter_keeps_the_faces_and_the_place():
    """A ramp along z of 9 slices of 4 mm: 36 slices of 1 mm, the first centered at 0.5 mm from the lower face."""
    voxels = np.broadcast_to((np.arange(9) * 40.0)[:, None, None], (9, 6, 6)).astype(np.float32)
    frame = prepare(Volume(voxels, (1, 1, 4), (0, 0, 10), LPS), spacing_mm=1.0)
    assert frame.hu.shape == (36, 6, 6) and frame.spacing == (1, 1, 1)
    assert frame.volume.origin[2] == pytest.approx(10 - 2 + 0.5)
    center = frame.hu[16:20, 3, 3]  # 14.5 … 17.5 mm above the first center; the ramp has 10 HU a mm
    assert center == pytest.approx([145, 155, 165, 175], abs=0.5)
    assert frame.restore(frame.hu)[4, 3, 3] == pytest.approx(160, abs=0.5)


def test_labels_follow_the_voxels(data):
    volume = read_volume(data / "abd_ts_example.nii.gz")
    labels = read_labels(data / "abd_ts_example_seg.nii.gz", like=volume)
    own = prepare(volume).labels(labels)
    assert np.array_equal(own, labels.voxels[:, ::-1, ::-1])
    cropped = Volume.from_sitk(volume.to_sitk()[40:60, 40:60, 40:60])
    seg = Volume.from_sitk(labels.to_sitk()[40:60, 40:60, 40:60])
    fine = prepare(cropped, spacing_mm=1.0).labels(seg)
    assert fine.shape == (60, 60, 60)
    assert np.array_equal(fine[1::3, 1::3, 1::3], seg.voxels[:, ::-1, ::-1])  # the middle millimeter of each voxel
