"""What may differ between the slices of a series, and be odd in it: read as pydicom reads it, to the HU and the
millimeter, or refused in a sentence.
"""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.io import read_volume

from .phantom import ORIGIN, PATIENT, SPACING, by_pydicom, enhanced, places, text, write


def as_by_pydicom(folder, ct, atol=0.0):
    """Read a folder, and be sure that pydicom reads the same, which is the CT."""
    volume = read_volume(folder)
    hu, where = by_pydicom(folder)
    np.testing.assert_allclose(volume.voxels, hu, atol=1e-3)
    np.testing.assert_allclose(volume.voxels, ct.voxels, atol=atol)
    np.testing.assert_allclose(places(volume), where, atol=1e-3)
    np.testing.assert_allclose(volume.spacing, SPACING, atol=1e-6)
    return volume


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        read_volume(path)
    sentence = str(caught.value)
    assert PATIENT not in sentence and "\n" not in sentence
    for word in words:
        assert word in sentence, sentence


def put(**values):
    """A change of all slices. Texts for numbers are written as they are."""

    def change(ds, k):
        for keyword, value in values.items():
            tag = tag_for_keyword(keyword)
            if dictionary_VR(tag) == "DS" and isinstance(value, str):
                raw = (value + " " * (len(value) % 2)).encode()
                ds[tag] = RawDataElement(Tag(tag), "DS", len(raw), raw, 0, False, True)
            else:
                setattr(ds, keyword, value)

    return change


def only(k_changed, change):
    return lambda ds, k: change(ds, k) if k == k_changed else None


# pixels


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("shown", ["MONOCHROME1", "MONOCHROME2"])
def test_hu_whatever_the_display(ct, tmp_path, signed, shown):
    intercept = -1024 if not signed else 0
    folder = write(
        ct, tmp_path / "ct", put(PhotometricInterpretation=shown), signed=signed, bits=16, intercept=intercept
    )
    assert as_by_pydicom(folder, ct).voxels.dtype == np.int16


def mixed_layout(ds, k):
    """Every slice is stored in another way."""
    from .phantom import store

    ways = ({"bits": 16, "signed": True, "intercept": 0}, {"bits": 12}, {"bits": 16, "intercept": -8192, "slope": 0.5})
    hu = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).astype(int) - 1024
    store(ds, hu, **ways[k % 3])
    ds.PhotometricInterpretation = f"MONOCHROME{1 + k % 2}"


@pytest.mark.parametrize("first", [0, 1, 2])
def test_slices_that_are_stored_in_different_ways(ct, tmp_path, first):
    folder = write(ct, tmp_path / "ct", lambda ds, k: mixed_layout(ds, k + first))
    as_by_pydicom(folder, ct)


def test_slopes_and_intercepts_of_each_slice(ct, tmp_path):
    def change(ds, k):
        from .phantom import store

        store(ds, ct.voxels[k], bits=16, slope=0.1 + 0.05 * k, intercept=-1024 - k)

    volume = as_by_pydicom(write(ct, tmp_path / "ct", change), ct, atol=0.6)
    assert volume.voxels.dtype == np.float32


def test_32_bits_and_8_bits(ct, tmp_path):
    def wide(ds, k):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, 32, 31
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype("<u4").tobytes()

    as_by_pydicom(write(ct, tmp_path / "wide", wide), ct)
    coarse = ct.with_voxels((np.clip(ct.voxels, -1024, 1000) // 8 * 8).astype(np.int16))

    def narrow(ds, k):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.RescaleSlope = 8, 8, 7, "8"
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") // 8).astype("u1").tobytes()

    as_by_pydicom(write(coarse, tmp_path / "narrow", narrow), coarse)


def test_bits_above_those_stored(ct, tmp_path):
    """Readers do not agree about them: pydicom takes them for the value, GDCM leaves them out."""

    def beyond(ds, k):
        ds.BitsStored, ds.HighBit = 10, 9

    refused(write(ct, tmp_path / "beyond", beyond), "BitsStored", ".dcm")

    def unextended(ds, k):
        stored = np.frombuffer(ds.PixelData, "<u2") & 0x0FFF
        ds.PixelData, ds.BitsStored, ds.HighBit = stored.tobytes(), 12, 11

    refused(write(ct, tmp_path / "sign", unextended, signed=True, bits=16, intercept=0), "BitsStored")
    refused(write(ct, tmp_path / "high", put(HighBit=15)), "HighBit")

    def overlay(ds, k):  # a drawing in bit 12, as the standard had it before 2004
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | 0x1000).tobytes()
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", 12)

    assert np.array_equal(read_volume(write(ct, tmp_path / "overlay", overlay)).voxels, ct.voxels)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_syntaxes(ct, tmp_path, syntax):
    folder = write(ct, tmp_path / "ct", signed=True, bits=16, intercept=0)
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
        other = Dataset()
        other.update(ds)
        other.file_meta = ds.file_meta
        other.save_as(file, enforce_file_format=True)
    as_by_pydicom(folder, ct)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("way", ["JPEG", "JPEG2000", "JPEGLSLossless", "RLELossless"])
def test_compressed_syntaxes(ct, tmp_path, way, signed):
    """Of a negative slope in MONOCHROME1, so that whatever GDCM did of its own would show."""
    stored = {"signed": signed, "bits": 16, "slope": -1, "intercept": 0 if signed else 4096}
    folder = write(ct, tmp_path / "ct", put(PhotometricInterpretation="MONOCHROME1"), **stored)
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        if way.startswith("JPEG") and not way.startswith("JPEGLS"):
            values = ds.pixel_array
            writer = sitk.ImageFileWriter()
            writer.SetImageIO("GDCMImageIO")
            writer.SetUseCompression(True)
            writer.SetCompressor(way)
            writer.SetFileName(str(file))
            writer.Execute(sitk.GetImageFromArray(values[None]))
            made = pydicom.dcmread(file)
            ds.PixelData, ds.file_meta.TransferSyntaxUID = made.PixelData, made.file_meta.TransferSyntaxUID
            ds["PixelData"].VR = "OB"
            ds["PixelData"].is_undefined_length = True
        else:
            if way == "JPEGLSLossless":
                pytest.importorskip("jpeg_ls", reason="pyjpegls comes with highdicom")
            ds.compress(getattr(pydicom.uid, way))
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.1.{ds.InstanceNumber}"
        ds.save_as(file, enforce_file_format=True)
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID.is_encapsulated
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, ct.voxels)
    np.testing.assert_allclose(places(volume)[3], np.add(ORIGIN, (0, 0, 7.5)), atol=1e-6)


def test_a_damaged_slice_is_named(ct, tmp_path):
    ways = {
        "cut": lambda raw: raw[: len(raw) * 2 // 3],
        "header": lambda raw: raw[:600],
        "zeros": lambda raw: bytes(len(raw)),
        "short": lambda raw: raw[:100],
        "longer": lambda raw: raw,
    }
    for name, spoil in ways.items():
        folder = write(ct, tmp_path / name)
        file = folder / "014.dcm"
        file.write_bytes(spoil(file.read_bytes()))
        if name == "longer":
            ds = pydicom.dcmread(folder / "007.dcm")
            ds.PixelData += ds.PixelData
            ds.save_as(file)
        refused(folder, "014.dcm", "damaged")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (put(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "color"),
        (put(PhotometricInterpretation="PALETTE COLOR"), "color"),
        (put(RescaleSlope="0"), "RescaleSlope"),
        (only(3, put(RescaleSlope=None)), "RescaleSlope"),
        (only(3, put(RescaleSlope=None, RescaleIntercept=None)), "RescaleSlope"),
        (put(RescaleIntercept="abc"), "RescaleIntercept"),
        (put(RescaleType="Z_EFF"), "Z_EFF"),
        (put(ModalityLUTSequence=[Dataset()]), "Modality LUT"),
        (lambda ds, k: delattr(ds, "PixelRepresentation"), "PixelRepresentation"),
        (lambda ds, k: delattr(ds, "BitsStored"), "BitsStored"),
        (only(3, lambda ds, k: delattr(ds, "PixelData")), "damaged"),
    ],
)
def test_what_gives_no_hu_is_refused(ct, tmp_path, change, word):
    refused(write(ct, tmp_path / "ct", change), word)


def test_units_that_are_not_told(ct, tmp_path):
    for number, value in enumerate(("US", "", None)):
        assert read_volume(write(ct, tmp_path / str(number), put(RescaleType=value))).warnings == ()
    (warning,) = read_volume(write(ct, tmp_path / "odd", put(RescaleType="gray"))).warnings
    assert "GRAY" in warning

    def bare(ds, k):
        del ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType

    volume = read_volume(write(ct, tmp_path / "bare", bare, signed=True, bits=16, intercept=0))
    assert np.array_equal(volume.voxels, ct.voxels)
    assert "no RescaleSlope" in volume.warnings[0]


# where the slices lie


@pytest.mark.parametrize(
    "change",
    [
        lambda ds, k: setattr(ds, "PixelSpacing", ("0.8\\0.75", "0.800000\\0.7500", " 8.0e-1\\+.75 ")[k % 3]),
        lambda ds, k: ds.add_new(0x00280030, "LO", "0.8\\0.75"),
        lambda ds, k: ds.add_new(0x00200032, "FD", [*ORIGIN[:2], ORIGIN[2] + 2.5 * k]),
        lambda ds, k: setattr(ds, "InstanceNumber", 20 - k),
        lambda ds, k: setattr(ds, "InstanceNumber", None),
        lambda ds, k: setattr(ds, "SliceThickness", None),
        lambda ds, k: setattr(ds, "SliceThickness", "0"),
        lambda ds, k: setattr(ds, "SpacingBetweenSlices", "-2.5"),
        lambda ds, k: setattr(ds, "SpacingBetweenSlices", "1"),
        lambda ds, k: setattr(ds, "SliceLocation", str(-2.5 * k)),
        lambda ds, k: setattr(
            ds, "ImageOrientationPatient", ("1\\0\\0\\0\\1\\0", "1.0000\\0.0003\\0\\-0.0003\\1\\0")[k % 2]
        ),
        lambda ds, k: setattr(ds, "AcquisitionNumber", k),
        lambda ds, k: setattr(ds, "AcquisitionNumber", 1 + (k > 9)),
        lambda ds, k: delattr(ds, "ImageType"),
        lambda ds, k: ds.add_new(0x00091010, "LO", "private"),
        lambda ds, k: setattr(ds, "SOPInstanceUID", "1.2.3"),
        lambda ds, k: delattr(ds, "SOPInstanceUID"),
    ],
)
def test_numbers_in_any_form(ct, tmp_path, change):
    as_by_pydicom(write(ct, tmp_path / "ct", change), ct)


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
@pytest.mark.parametrize("slices", [range(20), [7]])
def test_a_slice_that_does_not_say_where_it_lies(ct, tmp_path, keyword, slices):
    def change(ds, k):
        if k in slices:
            delattr(ds, keyword)
            ds.ImagerPixelSpacing = [1, 1]

    refused(write(ct, tmp_path / "ct", change), keyword, ".dcm")


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("PixelSpacing", ["0,8\\0,75", "0.8 mm\\0.75 mm", "0.8", "nan\\nan", "0_8\\0_75", "0x1\\1", "٠\\١", ""]),
        ("ImagePositionPatient", ["1\\2", "1\\2\\inf", "a\\b\\c"]),
        (
            "ImageOrientationPatient",
            ["0\\0\\0\\0\\0\\0", "1\\0\\0\\1\\0\\0", "1\\0\\0\\0.1\\0.99\\0", "2\\0\\0\\0\\2\\0"],
        ),
    ],
)
def test_places_that_are_none(ct, tmp_path, keyword, values):
    for number, value in enumerate(values):
        refused(write(ct, tmp_path / str(number), put(**{keyword: value}), slices=range(4)), keyword, ".dcm")


@pytest.mark.parametrize("value", ["0\\0", "-0.8\\-0.75", "1000\\1000"])
def test_pixel_spacings_that_cannot_be(ct, tmp_path, value):
    refused(write(ct, tmp_path / "ct", put(PixelSpacing=value)), "spacing", "correct")


def turned(degrees):
    angle = np.radians(degrees)
    return text((1, 0, 0, 0, np.cos(angle), np.sin(angle)))


def place(x=0.0, y=0.0, z=0.0):
    return text(np.add(ORIGIN, (x, y, z)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (only(3, put(PixelSpacing="0.8\\0.76")), ["different size"]),
        (only(3, lambda ds, k: setattr(ds, "Rows", 20) or setattr(ds, "Columns", 100)), ["different size"]),
        (lambda ds, k: setattr(ds, "ImageOrientationPatient", turned(0.5 * k)), ["orientation"]),
        (put(ImageOrientationPatient=turned(15)), ["tilted gantry", "15.0°"]),
        (lambda ds, k: setattr(ds, "ImagePositionPatient", place(x=3 * (k == 7), z=2.5 * k)), ["off the line"]),
        (lambda ds, k: setattr(ds, "ImagePositionPatient", place(z=k * k / 4)), ["unevenly"]),
        (lambda ds, k: setattr(ds, "ImagePositionPatient", place(z=2.5 * (k % 10))), ["one position"]),
        (put(ImagePositionPatient=place()), ["one position"]),
        (lambda ds, k: setattr(ds, "AcquisitionNumber", k % 2), ["acquisitions"]),
        (lambda ds, k: setattr(ds, "TemporalPositionIdentifier", k % 2), ["phases"]),
    ],
)
def test_slices_that_are_no_even_stack(ct, tmp_path, change, words):
    refused(write(ct, tmp_path / "ct", change), *words)


def test_several_frames_of_reference_are_told(ct, tmp_path):
    volume = read_volume(write(ct, tmp_path / "ct", lambda ds, k: setattr(ds, "FrameOfReferenceUID", f"1.2.{k}")))
    assert "20 frames of reference" in volume.warnings[0]


def test_copies_of_a_slice_count_once(ct, tmp_path):
    folder = write(ct, tmp_path / "ct")
    for number in (0, 7, 19):
        (folder / f"{number:03d} copy.dcm").write_bytes((folder / f"{number:03d}.dcm").read_bytes())
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, ct.voxels) and volume.warnings == (
        "3 of the files are copies of other slices and were left out.",
    )
    ds = pydicom.dcmread(folder / "000.dcm")
    ds.RescaleIntercept = "-1000"
    ds.save_as(folder / "000 copy.dcm")
    refused(folder, "one position", "21 slices")


# multi-frame CT


def test_multi_frame_ct_agrees_with_highdicom(ct, tmp_path):
    hd = pytest.importorskip("highdicom")
    order = np.random.default_rng(0).permutation(20)
    path = enhanced(ct, tmp_path / "e" / "a.dcm", order, slopes=[0.5 + k % 2 / 2 for k in range(20)])
    from_file, from_folder = read_volume(path), read_volume(path.parent)
    volume = hd.imread(path).get_volume(apply_real_world_transform=False, apply_modality_transform=True)
    affine = np.array(volume.affine)
    for read in (from_file, from_folder):
        assert np.array_equal(read.voxels, ct.voxels)
        for k, r, c in ((0, 0, 0), (19, 39, 49), (7, 3, 44)):
            point = read.to_sitk().TransformIndexToPhysicalPoint((c, r, k))
            index = np.rint(np.linalg.solve(affine, [*point, 1]))[:3].astype(int)
            np.testing.assert_allclose(affine @ [*index, 1], [*point, 1], atol=1e-5)
            assert volume.array[tuple(index)] == ct.voxels[k, r, c]
        assert read.spacing == pytest.approx(SPACING)


def stated(text):
    """A slice thickness as text, the same in all slices; None: nothing."""

    def change(ds, k):
        if text is None:
            del ds.SliceThickness
        else:
            ds.SliceThickness = text

    return change


@pytest.mark.parametrize(
    ("change", "thickness"),
    [
        (None, 3.0),  # and 2.5 mm apart
        (stated("1.25"), 1.25),
        (stated(None), None),
        (stated("0"), None),
        (stated("-5"), None),
        (stated(""), None),
        (only(2, stated("5")), None),  # the others say 3
        (only(2, stated(None)), None),
        (only(2, stated("3.0001")), 3.0),
    ],
)
def test_the_thickness_that_all_slices_state(ct, tmp_path, change, thickness):
    volume = read_volume(write(ct, tmp_path / "series", change))
    assert volume.slice_thickness == thickness and volume.spacing[2] == pytest.approx(2.5)


def test_the_thickness_of_a_multi_frame_ct(ct, tmp_path):
    def thick(ds):
        ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness = 4.0

    assert read_volume(enhanced(ct, tmp_path / "one.dcm", change=thick)).slice_thickness == 4


def test_legacy_converted_ct_and_positions_beside_the_frames(ct, tmp_path):
    from .phantom import LEGACY

    def change(ds):
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 0], [0, 1, 0, 1, 0, 0]
        ds.PixelSpacing, ds.RescaleSlope, ds.RescaleIntercept = [9, 9], 3, 0

    volume = read_volume(enhanced(ct, tmp_path / "a.dcm", change=change, sop=LEGACY))
    assert np.array_equal(volume.voxels, ct.voxels) and volume.spacing == pytest.approx(SPACING)
    np.testing.assert_allclose(volume.origin, ORIGIN)


def second_stack(ds):
    for k, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [*ORIGIN[:2], ORIGIN[2] + 2.5 * (k % 10)]
        frame.FrameContentSequence[0].StackID = str(1 + k // 10)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (second_stack, "one position"),
        (lambda ds: ds.PerFrameFunctionalGroupsSequence.pop(), "20 frames"),
        (lambda ds: delattr(ds, "PerFrameFunctionalGroupsSequence"), "20 frames"),
        (lambda ds: delattr(ds.PerFrameFunctionalGroupsSequence[4], "PlanePositionSequence"), "ImagePositionPatient"),
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:30000]), "damaged"),
    ],
)
def test_multi_frame_ct_that_is_no_stack(ct, tmp_path, change, word):
    refused(enhanced(ct, tmp_path / "a.dcm", change=change), word, "a.dcm")
