"""Unusable input and outputs that cannot be written: one sentence that names the file, nothing half written."""

import errno
import os
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes import io as volume_io
from MedDiffFMLib.volumes.checks import check_ct
from MedDiffFMLib.volumes.io import check_output, read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume

from .conftest import DATA


def refused(path, *words):
    """The sentence that `read_volume` and `check_ct` refuse this file with."""
    with pytest.raises(InputError) as caught:
        check_ct(read_volume(path))
    sentence = str(caught.value)
    assert str(path) in sentence and "\n" not in sentence and "; " in sentence and sentence.endswith(".")
    for word in words:
        assert word in sentence
    return sentence


def with_header(ct, path, *patches):
    """A NIfTI of `ct` with some fields overwritten: (offset, format, values)."""
    sitk.WriteImage(ct.to_sitk(), str(path))
    raw = bytearray(path.read_bytes())
    for at, kind, values in patches:
        struct.pack_into("<" + kind, raw, at, *values)
    path.write_bytes(raw)
    return path


def test_missing_unknown_and_foreign(tmp_path):
    refused(tmp_path / "none.nii.gz", "does not exist")
    for name in ("scan.nii.gz", "scan.nii", "scan.nrrd", "scan.mha", "scan.mhd"):
        (tmp_path / name).write_bytes(b"this is no image\n" * 50)
        refused(tmp_path / name)
    (tmp_path / "scan.jpg").write_bytes(b"")
    refused(tmp_path / "scan.jpg", ".nii.gz", "DICOM folder")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_truncated(ct, tmp_path, suffix, compress, capfd):
    path = tmp_path / f"cut{suffix}"
    sitk.WriteImage(ct.to_sitk(), str(path), compress)
    whole = path.read_bytes()
    for keep in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        refused(path)
    assert capfd.readouterr() == ("", "")  # no words of ITK on the terminal


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_damaged_in_the_middle(ct, tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    sitk.WriteImage(ct.to_sitk(), str(path), True)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x55
    path.write_bytes(raw)
    refused(path, "damaged")


def test_not_a_scalar_3d_volume(ct, tmp_path):
    image = ct.to_sitk()
    for suffix in (".nii", ".nrrd", ".mha"):
        for name, bad, word in (
            ("color", sitk.Compose([sitk.Cast(image, sitk.sitkUInt8)] * 3), "3 values a voxel"),
            ("flat", image[:, :, 3], "single slice"),
            ("slice", image[:, :, 3:4], "single slice"),
            ("film", sitk.JoinSeries([image, image]), "2 frames"),
        ):
            path = tmp_path / f"{name}{suffix}"
            sitk.WriteImage(bad, str(path))
            refused(path, word)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_in_nifti_is_not_taken_for_water(ct, tmp_path, suffix, dtype):
    """ITK reads NaN in NIfTI as 0 HU; the last of an odd number of voxels counts too."""
    voxels = ct.voxels[:3, :3, :3].astype(dtype)
    voxels[1, 1, 1], voxels[2, 2, 2] = np.nan, np.inf
    path = tmp_path / f"holes{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    with pytest.raises(InputError, match="2 voxels that are NaN"):
        read_volume(path)


@pytest.mark.parametrize("spacing", [0.0, float("nan"), 1e-4, 400.0])
def test_spacing_nifti(ct, tmp_path, spacing):
    refused(with_header(ct, tmp_path / "x.nii", (88, "f", [spacing])), "spacing")


def test_spacing_elsewhere(ct, tmp_path):
    for name, old, new in (("x.mha", b"Spacing = 1.5", b"Spacing = 0"), ("x.nrrd", b"(1.5,", b"(0,")):
        sitk.WriteImage(ct.to_sitk(), str(tmp_path / name))
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(old, new))
        refused(tmp_path / name, "spacing of zero")


def sheared(degrees):
    tan = np.tan(np.deg2rad(degrees))
    return (252, "2h", [0, 1]), (280, "12f", [-1.5, 0, 0, 36, 0, -1.5, 1.5 * tan, 200, 0, 0, 1.5, 600])


def test_sheared_axes(ct, tmp_path):
    refused(with_header(ct, tmp_path / "tilt.nii", *sheared(12)), "78.0° apart", "gantry tilt")
    volume = read_volume(with_header(ct, tmp_path / "little.nii", *sheared(0.05)))
    axes = np.reshape(volume.direction, (3, 3))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)  # squared up
    write_volume(volume, tmp_path / "out.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "out.nii").direction, volume.direction, atol=1e-7)
    assert "ITK_NIFTI_SFORM_PERMISSIVE" not in os.environ


def nan(ct):
    voxels = ct.astype(np.float32)
    voxels[3, 4, 5] = np.nan
    voxels[4, 4, 4] = np.inf
    return voxels


# A stand-in for an MR: zero in air, brightest in fat, as T1-weighted images are.
NOT_CT = {
    "nan": (nan, "2 voxels that are NaN"),
    "8-bit": (lambda ct: (np.clip((ct + 160) / 400, 0, 1) * 255).astype(np.uint8), "8-bit"),
    "8-bit as int16": (lambda ct: (np.clip((ct + 160) / 400, 0, 1) * 255).astype(np.int16), "8-bit"),
    "0 to 1": (lambda ct: ((ct + 1024) / 4095).astype(np.float32), "rescaled"),
    "constant": (lambda ct: np.full_like(ct, -1000), "same value"),
    "offset": (lambda ct: ct + 1024, "offset by 1024; subtract"),
    "offset, no air": (lambda ct: np.clip(ct, -100, 250) + 1024, "offset by 1024; subtract"),
    "MR": (lambda ct: np.interp(ct, [-900, -100, 0, 60, 400, 1000], [0, 900, 250, 350, 60, 20]).astype(np.int16), "MR"),
    "too bright": (lambda ct: (ct.astype(np.int32) * 8).clip(-1000, 32767).astype(np.int16), "above 3071"),
    "only air": (lambda ct: np.minimum(ct, -600), "denser than -200"),
    "offset, one voxel padded": (lambda ct: one_padded(np.clip(ct + 1024, 0, None)), "subtract 1024 .* or 1000"),
    "offset of 1000": (lambda ct: ct + 1000, "subtract 1024 .* or 1000"),  # the noise of air is below 0
    "offset, round field of view": (lambda ct: in_a_circle(ct, -2000) + 1024, "offset by 1024"),
    "offset, padded": (lambda ct: in_a_circle(np.clip(ct + 1024, 0, None), -3024), "offset by 1024"),
    "offset, of numbers with fractions": (lambda ct: one_padded(ct + np.float32(1024.3)), "offset by 1024"),
    "offset of 32768": (lambda ct: ct + np.float32(32768), "above 3071"),
    "offset subtracted twice": (lambda ct: ct - 1024, "offset twice"),
    "ten times": (lambda ct: ct * 10, "above 3071"),
    "thousandths": (lambda ct: (ct / 1000).astype(np.float32), "rescaled"),
    "thousandths, one voxel padded": (lambda ct: one_padded((ct / 1000).astype(np.float32)), "rescaled"),
    "PET": (lambda ct: pet(ct), "PET"),
    "8-bit, padded": (lambda ct: in_a_circle((np.clip((ct + 160) / 400, 0, 1) * 255).astype(np.int16), -2000), "8-bit"),
}


def one_padded(voxels):
    voxels = voxels.copy()
    voxels[0, 0, 0] = -2000
    return voxels


def in_a_circle(voxels, padding):
    """As scanners write it: `padding` beyond the largest circle of each slice."""
    y, x = (np.linspace(-1, 1, n) for n in voxels.shape[1:])
    return np.where(y[:, None] ** 2 + x**2 > 1, voxels.dtype.type(padding), voxels)


def pet(ct):
    """A stand-in for uptake (SUV): hardly any but in tissue, in patches."""
    uptake = np.interp(ct, [-1000, -500, 0, 60, 400], [0, 0.1, 0.8, 4, 0.5])
    return (uptake * np.random.default_rng(0).gamma(3, 1 / 3, ct.shape)).astype(np.float32)


@pytest.mark.parametrize("case", NOT_CT)
def test_values_that_are_no_hounsfield_units(ct, tmp_path, case):
    change, word = NOT_CT[case]
    sitk.WriteImage(ct.with_voxels(change(ct.voxels)).to_sitk(), str(tmp_path / "x.nrrd"))
    assert re.search(word, refused(tmp_path / "x.nrrd"))


def test_crops_inside_a_body_pass(ct):
    check_ct(ct)
    check_ct(ct.with_voxels(np.clip(ct.voxels, -120, 300)))  # soft tissue only
    brain = np.random.default_rng(0).normal(35, 5, (8, 16, 16)).round().astype(np.int16)  # no air, no fat, none below 0
    assert brain.min() >= 0
    check_ct(type(ct)(brain))


@pytest.mark.parametrize("name", ["chest_ts_aorta", "abd_ts_example"])
def test_a_ct_whose_sign_is_turned(name):
    volume = read_volume(DATA / f"{name}.nii.gz")
    check_ct(volume)
    with pytest.raises(InputError, match="multiply all voxels by -1"):
        check_ct(volume.with_voxels(-volume.voxels))


@pytest.mark.parametrize("padding", [-1000, -1024, -2000, -3024, -32768, 0, 3071, 32767])
def test_padding_hides_no_ct(ct, padding):
    """Around it, beyond a circle, and as floats; a turned one has a rim of values between."""
    around = np.pad(ct.voxels, ((5, 5), (10, 10), (12, 12)), constant_values=padding)
    rim = ndimage.rotate(in_a_circle(ct.voxels, padding), 5, axes=(1, 2), reshape=False, order=1, cval=padding)
    for voxels in (around, in_a_circle(ct.voxels, padding), around.astype(np.float32) + np.float32(0.25), rim):
        check_ct(Volume(voxels, ct.spacing))


def test_a_volume_whose_axes_are_sheared_is_no_ct_either(ct):
    """What no reader made, as a program that uses the library."""
    with pytest.raises(InputError, match=r"70\.\d° apart"):
        check_ct(replace(ct, direction=(1, 0, 0, 0, 1, 0.33, 0, 0, 0.944)))


def test_outputs_refused_before_any_work(ct, tmp_path):
    (tmp_path / "there.nii.gz").write_bytes(b"precious")
    (tmp_path / "folder.nii.gz").mkdir()
    for path, word in (
        (tmp_path / "there.nii.gz", "exists already"),
        (tmp_path / "none" / "x.nii.gz", "folder does not exist"),
        (tmp_path / "folder.nii.gz", "is a folder"),
        (tmp_path / "x.jpg", ".nii.gz"),
        (tmp_path / "x.mhd", ".nii.gz"),
    ):
        for call in (lambda p: check_output(p), lambda p: write_volume(ct, p)):
            with pytest.raises(InputError, match=word) as caught:
                call(path)
            assert str(path) in str(caught.value)
    assert (tmp_path / "there.nii.gz").read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.nii.gz", "there.nii.gz"]
    write_volume(ct, tmp_path / "there.nii.gz", overwrite=True)
    assert np.array_equal(read_volume(tmp_path / "there.nii.gz").voxels, ct.voxels)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="read-only"):
        check_output(tmp_path / "x.nii")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(ct, tmp_path, monkeypatch, suffix, failure):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"precious")

    def fail(*_):
        assert len(list(tmp_path.iterdir())) > 1  # all is written, beside the old file
        raise failure

    monkeypatch.setattr(volume_io.os, "replace", fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        write_volume(ct, path, overwrite=True)
    if isinstance(failure, OSError):
        assert str(path) in str(caught.value) and "No space left" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"precious"
