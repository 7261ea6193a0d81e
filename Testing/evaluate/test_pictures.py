"""Pictures of results: the right slices, the right way up, with what lies over them."""

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.volumes.io import read_labels, read_volume
from MedDiffFMLib.volumes.volume import Volume

pytest.importorskip("matplotlib")

from MedDiffFMTraining.evaluate.reports.pictures import PictureRow, middle_of, orthogonal_slice, slices_picture


def marked() -> Volume:
    """30 × 20 × 10 voxels of 1 × 2 × 3 mm in LPS order, with a voxel marked: right, in front, above the middle."""
    voxels = np.full((10, 20, 30), -1000, np.int16)
    voxels[7, 5, 4] = 1000
    return Volume(voxels, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SPR", "AIL"])
def test_slices_are_the_way_radiologists_look_whatever_the_storage(orientation):
    volume = Volume.from_sitk(sitk.DICOMOrient(marked().to_sitk(), orientation))
    point = (-4.0, -10.0, 21.0)  # the marked voxel in RAS: x 4 · 1 mm and y 5 · 2 mm are LPS
    shown = {}
    for cut, (shape, aspect) in enumerate((((20, 30), 2.0), ((10, 30), 3.0), ((10, 20), 1.5))):
        pixels, ratio = orthogonal_slice(volume, cut, np.array(point))
        assert pixels.shape == shape and ratio == pytest.approx(aspect)
        shown[cut] = tuple(int(i[0]) for i in np.nonzero(pixels > 0))
    # the patient's right is on the left of the picture, front (axial) and above (else) on top
    assert shown == {0: (5, 4), 1: (10 - 1 - 7, 4), 2: (10 - 1 - 7, 5)}


def test_a_picture_of_a_real_ct_shows_map_and_outline(data, tmp_path):
    """Two rows in one PNG: color only where the map is; nothing but the file is left."""
    ct = read_volume(data / "abd_ts_example.nii.gz")
    liver = read_labels(data / "abd_ts_example_seg.nii.gz").voxels == 5
    overlay = ct.with_voxels(np.where(liver, np.float32(80), np.float32(0)))
    center = middle_of(ct) + np.array((60, 0, 130))
    outline = ct.with_voxels(liver.astype(np.uint8))
    rows = [PictureRow(ct, "CT"), PictureRow(ct, "map", overlay=overlay, outline=outline)]
    slices_picture(rows, tmp_path / "picture.png", center)
    assert [f.name for f in tmp_path.iterdir()] == ["picture.png"]
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "picture.png")))[..., :3].astype(int)
    upper, lower = np.split(pixels[: len(pixels) // 2 * 2], 2)
    red = [(half[..., 0] - half[..., 2] > 60).sum() for half in (upper, lower)]
    yellow = [((half[..., 0] > 200) & (half[..., 1] > 200) & (half[..., 2] < 80)).sum() for half in (upper, lower)]
    assert red[1] > red[0] + 500 and yellow[1] > yellow[0] + 50
