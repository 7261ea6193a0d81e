"""What is read is written back on the same grid: every number of the geometry, every voxel, in every format."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import read_labels, read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume, cast_like

from .conftest import DATA

FORMATS = [".nii", ".nii.gz", ".nrrd", ".mha"]


def geometry(volume):
    return volume.spacing, volume.origin, volume.direction


def itk_geometry(path):
    image = sitk.ReadImage(str(path))
    return image.GetSpacing(), image.GetOrigin(), image.GetDirection()


@pytest.mark.parametrize("suffix", FORMATS)
def test_bit_exact_in_the_same_format(placed, tmp_path, suffix):
    given, once, twice = (tmp_path / f"{name}{suffix}" for name in ("given", "once", "twice"))
    sitk.WriteImage(placed.to_sitk(), str(given))  # not by our own writer
    first = read_volume(given)
    write_volume(first, once)
    write_volume(read_volume(once).with_voxels(first.voxels.astype(np.float32)), twice)
    for path in (once, twice):
        assert geometry(read_volume(path)) == geometry(first)
        assert itk_geometry(path) == itk_geometry(given)  # seen by another reader
        assert np.array_equal(read_volume(path).voxels, placed.voxels)
    assert read_volume(once).voxels.dtype == np.int16 and read_volume(twice).voxels.dtype == np.float32


@pytest.mark.parametrize("suffix", FORMATS)
def test_geometry_is_right_in_every_format(placed, tmp_path, suffix):
    write_volume(placed, tmp_path / f"x{suffix}")
    # NIfTI holds float32: 1001.7 mm is off by up to 3e-5 mm, a direction by 6e-8
    bounding_box = (
        dict(rtol=2e-7, atol=2e-7) if "nii" in suffix else dict(rtol=0 if suffix == ".mha" else 4e-16, atol=4e-16)
    )
    for got, want in zip(geometry(read_volume(tmp_path / f"x{suffix}")), geometry(placed), strict=True):
        np.testing.assert_allclose(got, want, **bounding_box)


def test_nifti_grid_bytes_are_the_inputs_own(placed, tmp_path):
    sitk.WriteImage(placed.to_sitk(), str(tmp_path / "a.nii"))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[123] = 0  # units not stated, which ITK would fill in
    (tmp_path / "a.nii").write_bytes(raw)
    write_volume(read_volume(tmp_path / "a.nii"), tmp_path / "b.nii.gz")
    out = gzip.decompress((tmp_path / "b.nii.gz").read_bytes())
    for part in (slice(76, 108), slice(123, 124), slice(252, 328)):
        assert out[part] == raw[part]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_changed_grid_is_not_given_the_old_header(placed, tmp_path, suffix):
    write_volume(placed, tmp_path / f"a{suffix}")
    moved = replace(read_volume(tmp_path / f"a{suffix}"), origin=(1.0, 2.0, 3.0), spacing=(2.0, 2.0, 2.0))
    write_volume(moved, tmp_path / f"b{suffix}")
    np.testing.assert_allclose(read_volume(tmp_path / f"b{suffix}").origin, (1, 2, 3))
    np.testing.assert_allclose(read_volume(tmp_path / f"b{suffix}").spacing, (2, 2, 2))


def test_nifti_in_metres(ct, tmp_path):
    sitk.WriteImage(replace(ct, spacing=(0.0015, 0.0015, 0.002)).to_sitk(), str(tmp_path / "x.nii"))
    raw = bytearray((tmp_path / "x.nii").read_bytes())
    raw[123] = 1
    (tmp_path / "x.nii").write_bytes(raw)
    volume = read_volume(tmp_path / "x.nii")
    np.testing.assert_allclose(volume.spacing, (1.5, 1.5, 2.0), rtol=1e-6)
    write_volume(volume, tmp_path / "y.nii")
    assert geometry(read_volume(tmp_path / "y.nii")) == geometry(volume)


def test_mhd_is_read(placed, tmp_path):
    sitk.WriteImage(placed.to_sitk(), str(tmp_path / "x.mhd"))
    assert geometry(read_volume(tmp_path / "x.mhd")) == geometry(placed)


def test_nifti_scale_and_offset_are_applied(ct, tmp_path):
    sitk.WriteImage(replace(ct, voxels=ct.voxels + 1024).to_sitk(), str(tmp_path / "x.nii"))
    raw = bytearray((tmp_path / "x.nii").read_bytes())
    raw[112:120] = np.array([1, -1024], "<f4").tobytes()
    (tmp_path / "x.nii").write_bytes(raw)
    assert np.array_equal(read_volume(tmp_path / "x.nii").voxels, ct.voxels)


def test_one_frame_of_four_dimensions_is_a_volume(placed, tmp_path):
    sitk.WriteImage(sitk.JoinSeries([placed.to_sitk()]), str(tmp_path / "x.mha"))
    assert geometry(read_volume(tmp_path / "x.mha")) == geometry(placed)


def test_voxel_types(ct, tmp_path):
    for stored, read in ((np.int32, np.int16), (np.float64, np.float32), (np.int16, np.int16)):
        sitk.WriteImage(replace(ct, voxels=ct.voxels.astype(stored)).to_sitk(), str(tmp_path / "x.mha"))
        volume = read_volume(tmp_path / "x.mha")
        assert volume.voxels.dtype == read and np.array_equal(volume.voxels, ct.voxels)


def test_result_in_the_inputs_type():
    like = Volume(np.zeros((1, 1, 4), np.int16))
    result = np.array([[[-1000.6, 40.4, 40000.0, -40000.0]]], np.float32)
    assert cast_like(result, like).tolist() == [[[-1001, 40, 32767, -32768]]]
    assert cast_like(result, like).dtype == np.int16
    assert cast_like(result, like.with_voxels(like.voxels.astype(np.float32))) is result


def test_size_in_mm_along_the_axes():
    assert Volume(np.zeros((2, 3, 4)), spacing=(0.5, 2.0, 5.0)).size_mm == (2.0, 6.0, 10.0)


@pytest.mark.parametrize("name", ["chest_ts_aorta", "abd_ts_example"])
def test_real_ct_passes_and_its_labels_fit(name):
    volume = read_volume(DATA / f"{name}.nii.gz")
    check_ct(volume)
    labels = read_labels(DATA / f"{name}_seg.nii.gz", volume)
    assert labels.voxels.dtype == np.uint8 and not labels.resampled and geometry(labels) == geometry(volume)


def test_labels_on_another_grid_are_resampled_and_say_so(ct, tmp_path):
    voxels = np.zeros(ct.voxels.shape, np.uint8)
    voxels[5:9, 10:20, 30:40] = 7
    labels = ct.with_voxels(voxels).to_sitk()
    sitk.WriteImage(labels[25:45, 5:30, 2:15], str(tmp_path / "cropped.nrrd"))
    got = read_labels(tmp_path / "cropped.nrrd", ct)
    assert got.resampled and np.array_equal(got.voxels, voxels)
    sitk.WriteImage(sitk.Flip(labels, [True, True, False]), str(tmp_path / "flipped.nii.gz"))
    got = read_labels(tmp_path / "flipped.nii.gz", ct)
    assert got.resampled and np.array_equal(got.voxels, voxels)


def test_labels_elsewhere_or_not_whole_are_refused(ct, tmp_path):
    far = replace(ct, voxels=(ct.voxels > 200).astype(np.uint8), origin=(5000.0, 0.0, 0.0))
    write_volume(far, tmp_path / "far.nrrd")
    with pytest.raises(InputError, match=r"far\.nrrd has as many voxels .* but lies elsewhere"):
        read_labels(tmp_path / "far.nrrd", ct)
    write_volume(replace(far, voxels=far.voxels[1:]), tmp_path / "cut.nrrd")
    with pytest.raises(InputError, match=r"cut\.nrrd lie outside"):
        read_labels(tmp_path / "cut.nrrd", ct)
    write_volume(ct.with_voxels(ct.voxels * np.float32(0.3)), tmp_path / "ct.nrrd")
    with pytest.raises(InputError, match=r"ct\.nrrd is not a label map"):
        read_labels(tmp_path / "ct.nrrd")
