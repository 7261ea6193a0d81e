"""NRRD and MetaImage headers: what is read is what pynrrd or a reading by hand gives, or a sentence refuses it."""

import binascii
import bz2
import gzip
import zlib

import nrrd
import numpy as np
import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.grid_checks import affine_of
from MedDiffFMLib.volumes.io import read_layers, read_volume, write_volume

VOXELS = np.random.default_rng(0).normal(0, 20, (6, 7, 8)).astype("<i2")  # x, y, z
RAW = VOXELS.tobytes(order="F")
AXES = "(0.8,0,0) (0,0.8,0) (0,0,2)"
TO_LPS = {"L": (1, 1, 1), "R": (-1, -1, 1), "l": (1, -1, 1)}


def nrrd_file(path, data=RAW, more="", **fields):
    """A NRRD file made by hand. fields: by their names with _ for a space, None leaves one out."""
    usual = {"type": "short", "dimension": 3, "space": "left-posterior-superior", "sizes": "6 7 8"}
    usual |= {"space_directions": AXES, "kinds": "domain domain domain", "endian": "little", "encoding": "raw"}
    usual |= {"space_origin": "(10,20,30)"}
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in (usual | fields).items() if value is not None]
    path.write_bytes("\n".join(["NRRD0004", *lines, more]).encode() + b"\n" + data)
    return path


def meta_file(path, data=RAW, matrix="1 0 0 0 1 0 0 0 1", more=(), **fields):
    """A MetaImage made by hand. more: lines before the last; fields: by their names, None leaves one out."""
    usual = {"ObjectType": "Image", "NDims": 3, "BinaryData": "True", "BinaryDataByteOrderMSB": "False"}
    usual |= {"CompressedData": "False", "TransformMatrix": matrix, "Offset": "10 20 30"}
    usual |= {"ElementSpacing": "0.8 0.8 2", "DimSize": "6 7 8", "ElementType": "MET_SHORT"} | fields
    last = usual.pop("ElementDataFile", "LOCAL")
    lines = [f"{key} = {value}" for key, value in usual.items() if value is not None]
    path.write_bytes("\n".join([*lines, *more, f"ElementDataFile = {last}\n"]).encode() + data)
    return path


def affine(volume):
    return affine_of(volume.spacing, volume.origin, volume.direction)


def expected(axes=((0.8, 0, 0), (0, 0.8, 0), (0, 0, 2)), origin=(10, 20, 30)):
    """The affine of axes (each a row) and the first voxel's place, LPS."""
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = np.transpose(axes), origin
    return made


NRRD_READ = {
    "plain": {},
    "RAS": dict(space="right-anterior-superior"),
    "LAS": dict(space="left-anterior-superior"),
    "short name": dict(space="RAS"),
    "capitals": dict(space="Right-Anterior-Superior"),
    "left-handed": dict(space_directions="(-0.8,0,0) (0,0.8,0) (0,0,2)"),
    "turned": dict(space_directions="(0,0.8,0) (0,0,0.8) (2,0,0)"),
    "hardly sheared": dict(space_directions="(0.8,0,0) (0,0.8,0) (0,0.001,2)"),
    "measurement frame": dict(measurement_frame="(0,1,0) (1,0,0) (0,0,1)"),
    "mm": dict(space_units='"mm" "mm" "mm"'),
    "byte skip": dict(byte_skip=10, data=b"x" * 10 + RAW),
    "byte skip to the end": dict(byte_skip=-1, data=b"y" * 13 + RAW),
    "line skip": dict(line_skip=1, data=b"hello\n" + RAW),
    "gzip": dict(encoding="gz", data=gzip.compress(RAW)),
    "text": dict(encoding="ascii", endian=None, data=" ".join(map(str, VOXELS.ravel(order="F"))).encode()),
    "big-endian": dict(endian="big", data=VOXELS.astype(">i2").tobytes(order="F")),
    "a list of one": dict(
        dimension=4, sizes="1 6 7 8", kinds="list domain domain domain", space_directions=f"none {AXES}"
    ),
    "a list of one behind": dict(
        dimension=4, sizes="6 7 8 1", kinds="domain domain domain list", space_directions=f"{AXES} none"
    ),
}


@pytest.mark.parametrize("case", NRRD_READ)
def test_as_pynrrd_reads_it(tmp_path, case):
    path = nrrd_file(tmp_path / "x.nrrd", **NRRD_READ[case])
    volume = read_volume(path)
    voxels, header = nrrd.read(str(path))
    axes = np.array([axis for axis in header["space directions"] if not np.isnan(axis).any()])
    signs = TO_LPS["l" if "left-anterior" in header["space"].lower() else header["space"][0].upper()]
    np.testing.assert_allclose(affine(volume), expected(axes * signs, header["space origin"] * signs), atol=1e-6)
    assert np.array_equal(volume.voxels.T, np.squeeze(voxels)) and volume.warnings == ()
    write_volume(volume, tmp_path / "y.nii.gz")
    np.testing.assert_allclose(affine(read_volume(tmp_path / "y.nii.gz")), affine(volume), atol=0.01)


def test_data_in_other_files_and_as_hex(tmp_path):
    """What pynrrd cannot read, by hand."""
    for k in range(8):
        (tmp_path / f"s{k}.raw").write_bytes(VOXELS[:, :, k].tobytes(order="F"))
    listed = "data file: LIST\n" + "\n".join(f"s{k}.raw" for k in reversed(range(8)))
    for given, right in (
        (dict(more="data file: s%d.raw 0 7 1", data=b""), VOXELS),
        (dict(more=listed, data=b""), VOXELS[:, :, ::-1]),
        (dict(encoding="hex", data=binascii.hexlify(RAW)), VOXELS),
    ):
        volume = read_volume(nrrd_file(tmp_path / "x.nrrd", **given))
        assert np.array_equal(volume.voxels.T, right)
        np.testing.assert_allclose(affine(volume), expected())


NRRD_OPEN = {
    "no space": (dict(space=None, space_origin=None, space_directions=None, spacings="0.8 0.8 2"),),
    "scanner": (dict(space="scanner-xyz"),),
    "right-handed": (dict(space="3D-right-handed"),),
}


@pytest.mark.parametrize("case", NRRD_OPEN)
def test_a_nrrd_file_without_names_of_its_axes_is_read_with_a_warning(tmp_path, case):
    volume = read_volume(nrrd_file(tmp_path / "x.nrrd", **NRRD_OPEN[case][0]))
    np.testing.assert_allclose(affine(volume)[:3, :3], expected()[:3, :3])
    assert len(volume.warnings) == 1 and "where its axes point" in volume.warnings[0]


def test_a_nrrd_file_without_a_place_is_read_with_a_warning(tmp_path):
    volume = read_volume(nrrd_file(tmp_path / "x.nrrd", space_origin=None))
    assert volume.origin == (0, 0, 0) and "where it lies" in volume.warnings[0]
    assert "where it lies" in read_layers(tmp_path / "x.nrrd")[0].warnings[0]


NRRD_REFUSED = {
    "sheared": (dict(space_directions="(0.8,0,0) (0,0.8,0) (0,0.7,2)"), "70.7° apart"),
    "axes in one plane": (dict(space_directions="(0.8,0,0) (0,0.8,0) (0,0.8,0)"), "in one plane"),
    "an axis of zero": (dict(space_directions="(0.8,0,0) (0,0.8,0) (0,0,0)"), "spacing of zero"),
    "an axis of NaN": (dict(space_directions="(0.8,0,0) (0,0.8,0) (0,0,nan)"), "NaN"),
    "an origin of NaN": (dict(space_origin="(nan,0,0)"), "NaN"),
    "no spacing": (dict(space=None, space_directions=None, space_origin=None), "size of its voxels"),
    "a spacing of NaN": (
        dict(space=None, space_directions=None, space_origin=None, spacings="0.8 NaN 2"),
        "size of its voxels",
    ),
    "spacings beside directions": (dict(spacings="1 1 1"), "two things about its grid"),
    "LPI": (dict(space="LPI"), "'LPI'"),
    "left-handed space": (dict(space="3D-left-handed"), "'3D-left-handed'"),
    "meters": (dict(space_units='"m" "m" "m"'), "'m' instead of mm"),
    "micrometers": (dict(units='"um" "um" "um"'), "'um' instead of mm"),
    "quantized": (dict(old_min=-1024, old_max=3071), "old min"),
    "bzip2": (dict(encoding="bzip2", data=bz2.compress(RAW)), "bzip2"),
    "two values": (
        dict(dimension=4, sizes="2 6 7 8", kinds="list domain domain domain", space_directions=f"none {AXES}"),
        "",
    ),
    "cut short": (dict(data=RAW[:-10]), "damaged"),
}


@pytest.mark.parametrize("case", NRRD_REFUSED)
def test_a_nrrd_file_that_cannot_be_trusted_is_refused(tmp_path, case):
    fields, word = NRRD_REFUSED[case]
    path = nrrd_file(tmp_path / "x.nrrd", **fields)
    for read in (read_volume, read_layers) if case != "two values" else (read_volume,):
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value).startswith(str(path)) and word in str(caught.value)


TURNED = "0 1 0 0 0 1 1 0 0"  # a row is an axis: x runs to the back, y to the head, z to the left
META_READ = {
    "plain": ({}, expected()),
    "turned": (dict(matrix=TURNED), expected(((0, 0.8, 0), (0, 0, 0.8), (2, 0, 0)))),
    "turned, Rotation": (dict(matrix=None, Rotation=TURNED), expected(((0, 0.8, 0), (0, 0, 0.8), (2, 0, 0)))),
    "turned, Orientation": (dict(matrix=None, Orientation=TURNED), expected(((0, 0.8, 0), (0, 0, 0.8), (2, 0, 0)))),
    "left-handed": (dict(matrix="-1 0 0 0 1 0 0 0 1"), expected(((-0.8, 0, 0), (0, 0.8, 0), (0, 0, 2)))),
    "Position": (dict(Offset=None, Position="10 20 30"), expected()),
    "Origin": (dict(Offset=None, Origin="10 20 30"), expected()),
    "said twice alike": (dict(Position="10 20 30.0"), expected()),
    "ElementSize alone": (dict(ElementSpacing=None, ElementSize="0.8 0.8 2"), expected()),
    "RAI": (dict(AnatomicalOrientation="RAI"), expected()),
    "unknown axes": (dict(AnatomicalOrientation="???"), expected()),
    "four dimensions": (
        dict(
            NDims=4,
            DimSize="6 7 8 1",
            matrix="1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1",
            Offset="10 20 30 0",
            ElementSpacing="0.8 0.8 2 1",
        ),
        expected(),
    ),
    "big-endian": (dict(BinaryDataByteOrderMSB="True", data=VOXELS.astype(">i2").tobytes(order="F")), expected()),
    "mm": (dict(DistanceUnits="mm"), expected()),
    "compressed": (
        dict(CompressedData="True", CompressedDataSize=len(zlib.compress(RAW)), data=zlib.compress(RAW)),
        expected(),
    ),
}


@pytest.mark.parametrize("case", META_READ)
def test_a_metaimage_as_read_by_hand(tmp_path, case):
    fields, right = META_READ[case]
    volume = read_volume(meta_file(tmp_path / "x.mha", **fields))
    np.testing.assert_allclose(affine(volume), right, atol=1e-6)
    assert np.array_equal(volume.voxels.T, VOXELS) and volume.warnings == ()
    write_volume(volume, tmp_path / "y.nii.gz")
    np.testing.assert_allclose(affine(read_volume(tmp_path / "y.nii.gz")), right, atol=1e-4)


def test_a_metaimage_whose_slices_are_files_of_their_own(tmp_path):
    for k in range(8):
        (tmp_path / f"s{k}.raw").write_bytes(VOXELS[:, :, k].tobytes(order="F"))
    (tmp_path / "all.raw").write_bytes(b"head" + RAW)
    listed = "".join(f"s{k}.raw\n" for k in reversed(range(8))).encode()
    for fields, right in (
        (dict(ElementDataFile="s%d.raw 0 7 1", data=b""), VOXELS),
        (dict(ElementDataFile="LIST", data=listed), VOXELS[:, :, ::-1]),
        (dict(ElementDataFile="all.raw", data=b"", HeaderSize=-1), VOXELS),
    ):
        volume = read_volume(meta_file(tmp_path / "x.mhd", **fields))
        assert np.array_equal(volume.voxels.T, right)
        np.testing.assert_allclose(affine(volume), expected())
    for fields, word in (
        (dict(ElementDataFile="none.raw", data=b""), "cannot be read"),
        (dict(ElementDataFile="LIST", data=listed[:21]), "names 3 files for 8 slices"),  # ITK leaves the rest as it is
        (dict(ElementDataFile="s%d.raw 0 5 1", data=b""), "names 6 files for 8 slices"),
        (dict(ElementDataFile="s%d.raw 0 7 2", data=b""), "names 4 files for 8 slices"),
    ):
        with pytest.raises(InputError, match=word):
            read_volume(meta_file(tmp_path / "x.mhd", **fields))


META_OPEN = {
    "no matrix": (dict(matrix=None), "where its axes point"),
    "no place": (dict(Offset=None), "where it lies"),
    "axes that contradict": (dict(AnatomicalOrientation="RPI"), "RPI and a TransformMatrix that is RAI"),
    "voxels thicker than their distance": (dict(ElementSize="0.8 0.8 5"), "the distances were taken"),
}


@pytest.mark.parametrize("case", META_OPEN)
def test_a_metaimage_that_leaves_something_open_is_read_with_a_warning(tmp_path, case):
    fields, word = META_OPEN[case]
    volume = read_volume(meta_file(tmp_path / "x.mha", **fields))
    np.testing.assert_allclose(affine(volume)[:3, :3], expected()[:3, :3])
    assert len(volume.warnings) == 1 and word in volume.warnings[0]


META_REFUSED = {
    "sheared": (dict(matrix="1 0 0 0 1 0 0 0.6 0.8"), "53.1° apart"),
    "scaled": (dict(matrix="2 0 0 0 1 0 0 0 1"), "not of length 1"),
    "axes in one plane": (dict(matrix="1 0 0 0 1 0 0 1 0"), "in one plane"),
    "zeros": (dict(matrix="0 0 0 0 0 0 0 0 0"), "not of length 1"),
    "NaN": (dict(matrix="nan 0 0 0 1 0 0 0 1"), "NaN or infinite in its TransformMatrix"),
    "six numbers": (dict(matrix="1 0 0 0 1 0"), "6 numbers"),
    "a place of NaN": (dict(Offset="nan 0 0"), "NaN or infinite in its Offset"),
    "two places": (dict(Position="1 2 3"), "Offset and Position differ"),
    "two origins": (dict(Origin="1 2 3"), "Offset and Origin differ"),
    "the same twice": (dict(more=["Offset = 1 2 3"]), "Offset and Offset differ"),
    "two matrices": (dict(Orientation=TURNED), "TransformMatrix and Orientation differ"),
    "no spacing": (dict(ElementSpacing=None), "size of its voxels"),
    "negative spacing": (dict(ElementSpacing="0.8 -0.8 2"), "negative"),
    "NaN spacing": (dict(ElementSpacing="0.8 nan 2"), "NaN or infinite in its ElementSpacing"),
    "scaled values": (dict(ElementToIntensityFunctionSlope="2"), "ElementToIntensityFunction"),
    "values with an offset": (dict(ElementToIntensityFunctionOffset="-1024"), "ElementToIntensityFunction"),
    "micrometers": (dict(DistanceUnits="um"), "'um'"),
    "voxels within the header": (dict(HeaderSize="5"), "HeaderSize"),
    "two byte orders": (dict(ElementByteOrderMSB="True"), "byte order"),
    "compressed without size": (dict(CompressedData="True", data=zlib.compress(RAW)), "CompressedDataSize"),
    "two values": (dict(ElementNumberOfChannels=2, data=RAW * 2), "2 values a voxel"),
    "cut short": (dict(data=RAW[:-10]), "damaged"),
}


@pytest.mark.parametrize("case", META_REFUSED)
def test_a_metaimage_that_cannot_be_trusted_is_refused(tmp_path, case):
    fields, word = META_REFUSED[case]
    path = meta_file(tmp_path / "x.mha", **fields)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert str(caught.value).startswith(str(path)) and word in str(caught.value)
