"""NIfTI headers that say several things: what is read is what nibabel reads, in mm and HU, or a sentence refuses it."""

import struct

import nibabel
import numpy as np
import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.grid_checks import affine_of
from MedDiffFMLib.volumes.io import read_volume, write_volume

VOXELS = np.random.default_rng(0).normal(0, 20, (6, 7, 8)).astype(np.int16)  # x, y, z
AFFINE = np.diag([-3.0, -3.0, 3.0, 1.0])  # RAS: axes to the left, the back and the head
AFFINE[:3, 3] = 30, 40, 50
HALF_TURN = (0, 0, 1, 30, 40, 50)  # the quaternion and the offsets of AFFINE
NAN, INF = float("nan"), float("inf")


def with_numbers(**cells):
    affine = AFFINE.copy()
    for cell, number in cells.items():
        affine[int(cell[1]), int(cell[2])] = number
    return affine


def write(path, q=0, s=0, pixdim=(1, 3, 3, 3), quat=HALF_TURN, rows=AFFINE, dim=None, units=2, **more):
    """A NIfTI file made by hand. q, s: the codes of qform and sform."""
    voxels, order = more.get("voxels", VOXELS), more.get("order", "<")
    kind, bits = more.get("type", (4, 16))
    raw = bytearray(352)
    struct.pack_into(order + "i", raw, 0, 348)
    struct.pack_into(order + "8h", raw, 40, *(dim or (3, *voxels.shape, 1, 1, 1, 1)))
    struct.pack_into(order + "2h", raw, 70, kind, bits)
    struct.pack_into(order + "8f", raw, 76, *pixdim, 1, 1, 1, 1)
    struct.pack_into(order + "3f", raw, 108, 352, *more.get("scale", (1, 0)))
    raw[123] = units
    struct.pack_into(order + "2h6f", raw, 252, q, s, *quat)
    struct.pack_into(order + "12f", raw, 280, *np.asarray(rows)[:3].ravel())
    raw[344:348] = more.get("magic", b"n+1\0")
    path.write_bytes(bytes(raw) + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes(order="F"))
    return path


TOLD_ALIKE = {
    "both forms": dict(q=1, s=1),
    "qform alone": dict(q=1, rows=np.zeros((4, 4))),
    "sform alone": dict(s=1, quat=(NAN,) * 6),
    "sform of a template": dict(s=4),
    "qfac 0": dict(q=1, pixdim=(0, 3, 3, 3)),
    "qfac 3": dict(q=1, pixdim=(3, 3, 3, 3)),
    "left-handed": dict(q=1, pixdim=(-1, 3, 3, 3)),
    "left-handed, both": dict(q=1, s=1, pixdim=(-1, 3, 3, 3), rows=with_numbers(_22=-3)),
    "oblique": dict(q=1, quat=(0.1, -0.3, 0.2, 30, 40, 50), pixdim=(1, 0.7, 0.8, 2)),
    "hardly sheared": dict(s=1, rows=with_numbers(_12=3 * np.tan(np.radians(0.05)))),
    "forms that differ by rounding": dict(q=1, s=1, rows=with_numbers(_03=30.01)),
    "meters": dict(q=1, units=1, pixdim=(1, 0.003, 0.003, 0.003), quat=(0, 0, 1, 0.03, 0.04, 0.05)),
    "micrometers": dict(s=1, units=3, pixdim=(1, 3e3, 3e3, 3e3), rows=AFFINE * 1e3),
    "no units": dict(q=1, units=0),
    "seconds too": dict(q=1, units=10),
    "scaled": dict(q=1, scale=(2, -10)),
    "slope 0": dict(q=1, scale=(0, 0)),
    "slope NaN": dict(q=1, scale=(NAN, NAN)),
    "negative slope": dict(q=1, scale=(-1, 0)),
    "one frame": dict(q=1, dim=(4, 6, 7, 8, 1, 1, 1, 1)),
    "five dimensions": dict(q=1, dim=(5, 6, 7, 8, 1, 1, 1, 1)),
    "zeros behind": dict(q=1, dim=(3, 6, 7, 8, 0, 0, 0, 0)),
    "big-endian": dict(q=1, order=">"),
    "uint16": dict(q=1, type=(512, 16), voxels=(VOXELS + 1024).astype(np.uint16)),
    "int64": dict(q=1, type=(1024, 64), voxels=VOXELS.astype(np.int64)),
    "double": dict(q=1, type=(64, 64), voxels=VOXELS * 1.5),
}


@pytest.mark.parametrize("case", TOLD_ALIKE)
def test_as_nibabel_reads_it(tmp_path, case):
    arguments = TOLD_ALIKE[case]
    path = write(tmp_path / "x.nii", **arguments)
    volume, witness = read_volume(path), nibabel.load(path)
    mm = {1: 1000, 3: 0.001}.get(arguments.get("units", 2), 1)  # nibabel leaves the units to its caller
    expected = np.diag([-mm, -mm, mm, 1]) @ witness.affine
    corners = np.array([[*(np.array(i) * (5, 6, 7)), 1] for i in np.ndindex(2, 2, 2)])
    ours = affine_of(volume.spacing, volume.origin, volume.direction)
    np.testing.assert_allclose(corners @ ours.T, corners @ expected.T, atol=0.02)
    np.testing.assert_allclose(volume.voxels.T, np.squeeze(witness.get_fdata()), atol=1e-3)
    assert volume.warnings == ()


@pytest.mark.parametrize("case", TOLD_ALIKE)
def test_written_back_both_readers_see_the_same_grid(tmp_path, case):
    volume = read_volume(write(tmp_path / "x.nii", **TOLD_ALIKE[case]))
    write_volume(volume, tmp_path / "y.nii.gz")
    again = np.diag([-1, -1, 1, 1]) @ nibabel.load(tmp_path / "y.nii.gz").affine
    mm = {1: 1000, 3: 0.001}.get(TOLD_ALIKE[case].get("units", 2), 1)
    stated = nibabel.load(tmp_path / "y.nii.gz").header.get_xyzt_units()[0]
    again[:3] *= mm if stated in ("meter", "micron") else 1
    np.testing.assert_allclose(again, affine_of(volume.spacing, volume.origin, volume.direction), atol=1e-3)


DIFFERENT = ("two things about where its voxels lie", "its sform says")
REFUSED = {
    "slices of the sform are thicker": (dict(q=1, s=1, pixdim=(1, 3, 3, 1)), (*DIFFERENT, "3 × 3 × 3 mm", "3 × 3 × 1")),
    "sform alone, pixdim thinner": (dict(s=1, pixdim=(1, 3, 3, 1)), (*DIFFERENT, "3D Slicer", "3 × 3 × 1 mm")),
    "sform of a template, pixdim 1": (dict(s=4, pixdim=(1, 1, 1, 1)), DIFFERENT),
    "mirror images": (dict(q=1, s=2, rows=with_numbers(_00=3, _03=15)), (*DIFFERENT, "axes RPS", "axes LPS")),
    "mirrored by qfac": (dict(q=1, s=1, pixdim=(-1, 3, 3, 3)), (*DIFFERENT, "axes LPI")),
    "shifted": (dict(q=1, s=2, rows=with_numbers(_03=35)), (*DIFFERENT, "(35.0, 40.0, 50.0)", "(30.0, 40.0, 50.0)")),
    "turned": (dict(q=1, s=1, quat=(0.1, 0, 0.99, 30, 40, 50)), (*DIFFERENT, "mm apart")),
    "sheared sform, straight qform": (dict(q=1, s=4, rows=with_numbers(_12=0.6)), DIFFERENT),
    "sheared": (dict(s=1, rows=with_numbers(_12=0.6)), ("78.7° apart",)),
    "no codes": (dict(), ("where its axes point", "nibabel", "ITK")),
    "negative codes": (dict(q=-1, s=-1), ("where its axes point",)),
    "a code that is none": (dict(q=9), ("qform code 9",)),
    "pixdim 0": (dict(s=1, pixdim=(1, 0, 0, 0)), ("spacing of 0 × 0 × 0",)),
    "pixdim negative": (dict(q=1, pixdim=(1, -3, 3, 3)), ("spacing of -3 × 3 × 3",)),
    "pixdim NaN": (dict(q=1, pixdim=(1, NAN, 3, 3)), ("spacing of nan",)),
    "qfac -5": (dict(q=1, pixdim=(-5, 3, 3, 3)), ("pixdim[0]",)),
    "quaternion too long": (dict(q=1, quat=(0, 0, 2, 30, 40, 50)), ("not a rotation",)),
    "quaternion NaN": (dict(q=1, s=1, quat=(NAN, 0, 1, 30, 40, 50)), ("not a rotation",)),
    "offset NaN": (dict(q=1, quat=(0, 0, 1, NAN, 40, 50)), ("its qform holds numbers that are NaN",)),
    "sform of zeros": (dict(s=1, rows=np.zeros((4, 4))), ("its sform has a voxel spacing of zero",)),
    "sform of zeros, qform": (dict(q=1, s=2, rows=np.zeros((4, 4))), ("its sform has a voxel spacing of zero",)),
    "sform flat": (dict(s=1, rows=with_numbers(_22=0, _12=3)), ("its sform has all axes in one plane",)),
    "sform NaN": (dict(q=1, s=1, rows=with_numbers(_00=NAN)), ("its sform holds numbers that are NaN",)),
    "sform's offset infinite": (dict(s=1, rows=with_numbers(_03=INF)), ("its sform holds numbers",)),
    "meters that are mm": (dict(q=1, units=1), ("3000 × 3000 × 3000 mm",)),
    "slope 0 with an intercept": (dict(q=1, scale=(0, -1024)), ("slope 0 with the intercept -1024",)),
    "intercept NaN": (dict(q=1, scale=(1, NAN)), ("intercept nan",)),
    "two frames": (dict(q=1, dim=(4, 6, 7, 4, 2, 1, 1, 1)), ("2 frames",)),
    "frames that dim[0] hides": (
        dict(q=1, dim=(3, 6, 7, 4, 2, 1, 1, 1)),
        ("3 dimensions and holds the voxels of more",),
    ),
    "slices that dim[0] hides": (dict(q=1, dim=(2, 6, 7, 8, 1, 1, 1, 1)), ("2 dimensions",)),
    "no frames": (dict(q=1, dim=(4, 6, 7, 8, 0, 1, 1, 1)), ("damaged",)),
    "no dimensions": (dict(q=1, dim=(0, 6, 7, 8, 1, 1, 1, 1)), ("damaged",)),
    "a negative size": (dict(q=1, dim=(3, -6, 7, 8, 1, 1, 1, 1)), ("damaged",)),
    "vectors": (dict(q=1, dim=(5, 6, 7, 4, 1, 2, 1, 1)), ("2 ",)),
    "ANALYZE": (dict(q=1, magic=b"\0\0\0\0"), ("ANALYZE",)),
    "RGB": (
        dict(q=1, type=(128, 24), voxels=np.zeros((18, 7, 8), np.uint8), dim=(3, 6, 7, 8, 1, 1, 1, 1)),
        ("3 values",),
    ),
    "cut short, with wrong bits": (dict(q=1, type=(4, 8), dim=(3, 6, 7, 9, 1, 1, 1, 1)), ("cut short",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_where_readers_differ_it_is_refused(tmp_path, case):
    arguments, words = REFUSED[case]
    path = write(tmp_path / "x.nii", **arguments)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and "\n" not in sentence and sentence.endswith(".") and len(sentence) < 500
    for word in words:
        assert word in sentence
