"""Small inputs of the kinds that people reported in public, made from the repository's own CT: `make_all(folder)`.

Each function makes one case and returns its files by role (`ct`, `mask`, `anatomy`, `folder`). NIfTI headers are
written byte by byte and DICOM with pydicom, so that no reader of the project has a part in what its tests read.
"""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

DATA = Path(__file__).parent / "Data"
CUBE = ((30, 94), (15, 79), (20, 52))  # of the abdomen: 64 × 64 × 32 voxels of 3 mm
SMALL = ((40, 72), (30, 62), (20, 32))


def crop(box=CUBE, source: str = "abd_ts_example") -> sitk.Image:
    """A box ((x0, x1), (y0, y1), (z0, z1)) of a CT of the repository in LPS order, int16 HU."""
    image = sitk.DICOMOrient(sitk.ReadImage(str(DATA / f"{source}.nii.gz")), "LPS")
    (x0, x1), (y0, y1), (z0, z1) = box
    return sitk.Cast(image[x0:x1, y0:y1, z0:z1], sitk.sitkInt16)


def chest(z0: int, z1: int) -> sitk.Image:
    """Slices of the chest CT, 120 × 126 voxels of 1.5 mm each."""
    return crop(((0, 120), (0, 126), (z0, z1)), "chest_ts_aorta")


def ras_affine(image: sitk.Image) -> np.ndarray:
    """The NIfTI affine (4, 4) of an image whose axes are L, P and S."""
    affine = np.diag([*(np.array(image.GetSpacing()) * (-1, -1, 1)), 1.0])
    affine[:3, 3] = np.array(image.GetOrigin()) * (-1, -1, 1)
    return affine


def ball(shape, center, radius: float) -> np.ndarray:
    """A uint8 ball in an array of any axis order, center and radius in voxels."""
    grid = np.indices(shape)
    return (sum((grid[k] - center[k]) ** 2 for k in range(3)) <= radius**2).astype(np.uint8)


def write_nifti(path: Path, image: sitk.Image, pixdim, qform, sform, quaternion, rows) -> Path:
    """A NIfTI-1 file of int16 voxels with these header fields: pixdim (4), codes, b c d and offsets (6), srow."""
    voxels = sitk.GetArrayFromImage(image)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    header[38] = ord("r")
    struct.pack_into("<8h", header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, *pixdim, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    header[123] = 2
    struct.pack_into("<hh", header, 252, qform, sform)
    struct.pack_into("<6f", header, 256, *quaternion)
    struct.pack_into("<12f", header, 280, *np.asarray(rows)[:3].ravel())
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + voxels.astype("<i2").tobytes())
    return path


def write_series(folder: Path, image: sitk.Image, signed: bool = False, intercept: int = -1024, change=None) -> Path:
    """A DICOM series with every type-1 and type-2 attribute; `change(dataset, k, stored)` may spoil slice k."""
    folder.mkdir(parents=True)
    voxels, spacing, origin = sitk.GetArrayFromImage(image), image.GetSpacing(), np.array(image.GetOrigin())
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for k, hu in enumerate(voxels):
        slice_ = _head(CTImageStorage, series, study, frame)
        slice_.InstanceNumber, slice_.AcquisitionNumber = k + 1, 1
        slice_.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        slice_.ImagePositionPatient = [f"{v:.6f}"[:16] for v in origin + np.array((0, 0, spacing[2] * k))]
        slice_.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        slice_.RescaleSlope, slice_.RescaleIntercept, slice_.RescaleType = "1", str(intercept), "HU"
        stored = (hu.astype(int) - intercept).astype(np.int16 if signed else np.uint16)
        _put_pixels(slice_, stored, bits=16 if signed else 12)
        if change:
            change(slice_, k, stored)
        slice_.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)
    return folder


def _head(storage: str, series: str, study: str, frame: str) -> Dataset:
    """Identity of an invented patient, study and equipment, with the file's meta header."""
    head = Dataset()
    head.SOPClassUID, head.SOPInstanceUID, head.Modality = storage, generate_uid(), "CT"
    head.PatientName, head.PatientID, head.PatientBirthDate, head.PatientSex = "Test^Phantom", "X1", "", ""
    head.StudyInstanceUID, head.SeriesInstanceUID, head.FrameOfReferenceUID = study, series, frame
    head.StudyDate, head.StudyTime, head.StudyID = "20200101", "100000", "1"
    head.AccessionNumber = head.ReferringPhysicianName = head.PositionReferenceIndicator = ""
    head.SeriesNumber, head.Manufacturer, head.KVP, head.PatientPosition = 3, "Nobody", "120", "HFS"
    head.file_meta = FileMetaDataset()
    head.file_meta.MediaStorageSOPClassUID = storage
    head.file_meta.MediaStorageSOPInstanceUID = head.SOPInstanceUID
    head.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return head


def _put_pixels(head: Dataset, stored: np.ndarray, bits: int) -> None:
    head.Rows, head.Columns = stored.shape[-2:]
    head.SamplesPerPixel, head.PhotometricInterpretation = 1, "MONOCHROME2"
    head.BitsAllocated, head.BitsStored, head.HighBit = 16, bits, bits - 1
    head.PixelRepresentation = int(stored.dtype == np.int16)
    head.PixelData = stored.tobytes()


def _item(**values) -> list[Dataset]:
    """A sequence of one item."""
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def f01(folder: Path) -> dict[str, Path]:
    """A chest that a tool turned by 10°, its corners filled with 0 HU; beside it the same with air there."""
    image = chest(60, 90)
    center = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    turn = sitk.Euler3DTransform(center, 0, 0, np.radians(10))
    files = {"ct": folder / "turned.nii.gz", "witness": folder / "turned-air.nii.gz"}
    for path, fill in zip(files.values(), (0, -1000), strict=True):
        sitk.WriteImage(sitk.Resample(image, image, turn, sitk.sitkLinear, fill), str(path))
    return files


def f02(folder: Path) -> dict[str, Path]:
    """HU + 1024 with one voxel below 0."""
    image = crop()
    voxels = (sitk.GetArrayFromImage(image).astype(int) + 1024).clip(0).astype(np.int16)
    voxels[0, 0, 0] = -2000
    moved = sitk.GetImageFromArray(voxels)
    moved.CopyInformation(image)
    sitk.WriteImage(moved, str(folder / "offset.nii.gz"))
    return {"ct": folder / "offset.nii.gz"}


def f04(folder: Path) -> dict[str, Path]:
    """A NIfTI whose sform says 3 mm slices, pixdim and qform 1 mm."""
    affine = ras_affine(crop())
    quaternion = (0, 0, 1, *affine[:3, 3])
    return {"ct": write_nifti(folder / "thin-or-thick.nii", crop(), (1, 3, 3, 1), 1, 1, quaternion, affine)}


def f05(folder: Path) -> dict[str, Path]:
    """A NIfTI whose qform and sform are mirror images, and a lesion mask that nibabel saved from it."""
    image = chest(60, 84)
    affine = ras_affine(image)
    mirrored = affine.copy()
    mirrored[0, 0], mirrored[0, 3] = 1.5, affine[0, 3] - 1.5 * (image.GetSize()[0] - 1)
    path = write_nifti(folder / "mirrored.nii", image, (1, 1.5, 1.5, 1.5), 1, 2, (0, 0, 1, *affine[:3, 3]), mirrored)
    mask = nibabel.Nifti1Image(ball(image.GetSize(), (8, 20, 11), 5), nibabel.load(path).affine)
    nibabel.save(mask, folder / "mask.nii.gz")
    return {"ct": path, "mask": folder / "mask.nii.gz"}


def f07(folder: Path) -> dict[str, Path]:
    """A NRRD whose slices are sheared by 20°, as a tilted gantry makes them."""
    image = crop()
    axes = np.diag(image.GetSpacing())
    axes[1, 2] = 3 * np.tan(np.radians(20))
    directions = " ".join("(" + ",".join(repr(float(v)) for v in axes[:, k]) + ")" for k in range(3))
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, image.GetSize()))}\nspace directions: {directions}\n"
        "kinds: domain domain domain\nendian: little\nencoding: raw\n"
        f"space origin: ({','.join(map(str, image.GetOrigin()))})\n\n"
    )
    path = folder / "tilted.nrrd"
    path.write_bytes(header.encode() + sitk.GetArrayFromImage(image).astype("<i2").tobytes())
    return {"ct": path}


def f08(folder: Path) -> dict[str, Path]:
    """A signed MONOCHROME1 series: the smallest value is shown white, and is air all the same."""
    return {
        "ct": write_series(
            folder / "white-air",
            crop(),
            signed=True,
            intercept=0,
            change=lambda d, k, stored: setattr(d, "PhotometricInterpretation", "MONOCHROME1"),
        )
    }


def f10(folder: Path) -> dict[str, Path]:
    """A signed series whose first slice is stored unsigned, as HU + 1024."""

    def change(dataset, k, stored):
        if k == 0:
            dataset.RescaleIntercept = "-1024"
            _put_pixels(dataset, (stored.astype(int) + 1024).astype(np.uint16), bits=16)

    return {"ct": write_series(folder / "mixed", crop(), signed=True, intercept=0, change=change)}


def f11(folder: Path) -> dict[str, Path]:
    """A lesion mask of the CT's shape that lost its header."""
    image = chest(40, 100)
    image.SetOrigin([-1.5 * n / 2 for n in image.GetSize()])
    sitk.WriteImage(image, str(folder / "ct.nii.gz"))
    nibabel.save(
        nibabel.Nifti1Image(ball(image.GetSize(), (12, 14, 12), 5), np.diag([-1, -1, 1, 1])), folder / "m.nii.gz"
    )
    return {"ct": folder / "ct.nii.gz", "mask": folder / "m.nii.gz"}


def _organ(label: int) -> sitk.Image:
    """One organ of the abdomen as a 0/1 map."""
    (x0, x1), (y0, y1), (z0, z1) = CUBE
    organs = sitk.DICOMOrient(sitk.ReadImage(str(DATA / "abd_ts_example_seg.nii.gz")), "LPS")[x0:x1, y0:y1, z0:z1]
    return sitk.Cast(organs == label, sitk.sitkUInt8)


def f12(folder: Path) -> dict[str, Path]:
    """TotalSegmentator's usual output: a folder of one 0/1 file an organ."""
    organs = folder / "segmentations"
    organs.mkdir()
    sitk.WriteImage(_organ(20), str(organs / "colon.nii.gz"))
    sitk.WriteImage(_organ(21), str(organs / "urinary_bladder.nii.gz"))
    sitk.WriteImage(crop(), str(folder / "ct.nii.gz"))
    return {"ct": folder / "ct.nii.gz", "anatomy": organs, "lone": organs / "colon.nii.gz"}


def f13(folder: Path) -> dict[str, Path]:
    """The names of labels beside a map, with a byte order mark, and as {name: number}."""
    texts = {"mark": b'\xef\xbb\xbf{"1": "colon"}', "turned": b'{"colon": 1}'}
    for stem, text in texts.items():
        sitk.WriteImage(_organ(20), str(folder / f"{stem}.nii.gz"))
        (folder / f"{stem}.json").write_bytes(text)
    return {stem: folder / f"{stem}.nii.gz" for stem in texts}


def f14(folder: Path) -> dict[str, Path]:
    """Four patients: DICOM without preamble, a folder from a Mac, a nested one, and a plain one."""
    patients, small = folder / "patients", crop(SMALL)
    for path in write_series(patients / "no-preamble", small).iterdir():
        header = pydicom.dcmread(path)
        bare = Dataset()
        bare.update(header)
        pydicom.dcmwrite(path, bare, enforce_file_format=False, implicit_vr=True, little_endian=True, overwrite=True)
    for path in list(write_series(patients / "mac", small).iterdir()):
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + b"\0" * 4070)
    write_series(patients / "nested" / "study" / "series", small)
    write_series(patients / "plain", small)
    return {"folder": patients}


def f15(folder: Path) -> dict[str, Path]:
    """A name that is not UTF-8 (written on a Latin-1 system), beside one that is."""
    names = folder / "names"
    names.mkdir()
    sitk.WriteImage(crop(SMALL), str(names / "plain.nii.gz"))
    other = os.fsdecode(os.fsencode(names) + b"/M\xfcller.nii.gz")
    shutil.copy(names / "plain.nii.gz", other)
    return {"folder": names, "ct": Path(other)}


def f17(folder: Path) -> dict[str, Path]:
    """A de-identified series: PatientBirthDate, which DICOM wants even if empty, is gone."""
    return {"ct": write_series(folder / "deidentified", crop(), change=lambda d, k, s: delattr(d, "PatientBirthDate"))}


def f18(folder: Path) -> dict[str, Path]:
    """An Enhanced (multi-frame) CT in one file, its frames in any order."""
    image = crop(SMALL)
    voxels, spacing, origin = sitk.GetArrayFromImage(image), image.GetSpacing(), np.array(image.GetOrigin())
    order = np.random.default_rng(0).permutation(len(voxels))
    scan = _head(EnhancedCTImageStorage, generate_uid(), generate_uid(), generate_uid())
    scan.InstanceNumber, scan.NumberOfFrames = 1, len(voxels)
    scan.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    scan.SharedFunctionalGroupsSequence = _item(
        PixelMeasuresSequence=_item(PixelSpacing=[spacing[1], spacing[0]], SliceThickness=spacing[2]),
        PlaneOrientationSequence=_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelValueTransformationSequence=_item(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU"),
    )
    scan.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=_item(ImagePositionPatient=[*origin[:2], float(origin[2] + spacing[2] * k)]),
            FrameContentSequence=_item(StackID="1", InStackPositionNumber=int(k) + 1),
        )[0]
        for k in order
    ]
    _put_pixels(scan, (voxels[order].astype(int) + 1024).astype(np.uint16), bits=12)
    (folder / "enhanced").mkdir()
    scan.save_as(folder / "enhanced" / "scan.dcm", enforce_file_format=True)
    return {"ct": folder / "enhanced"}


def f19(folder: Path) -> dict[str, Path]:
    """A lesion 3 mm thick between slices 9 mm apart."""
    fine = chest(40, 88)
    size, spacing = [120, 126, 8], (1.5, 1.5, 9.0)
    thick = sitk.Resample(
        fine, size, sitk.Transform(), sitk.sitkLinear, fine.GetOrigin(), spacing, fine.GetDirection(), -1000
    )
    lesion = np.zeros(fine.GetSize()[::-1], np.uint8)
    lesion[20:22, 60:62, 30:32] = 1
    mask = sitk.GetImageFromArray(lesion)
    mask.CopyInformation(fine)
    sitk.WriteImage(thick, str(folder / "ct.nii.gz"))
    sitk.WriteImage(mask, str(folder / "mask.nii.gz"))
    return {"ct": folder / "ct.nii.gz", "mask": folder / "mask.nii.gz"}


CASES = {
    make.__name__.upper(): make for make in (f01, f02, f04, f05, f07, f08, f10, f11, f12, f13, f14, f15, f17, f18, f19)
}


def make_all(folder: Path) -> dict[str, dict[str, Path]]:
    """Every case in a folder of its own: its files by role."""
    made = {}
    for name, make in CASES.items():
        (folder / name).mkdir(parents=True)
        made[name] = make(folder / name)
    return made
