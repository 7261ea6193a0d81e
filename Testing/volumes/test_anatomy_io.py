"""Label maps as other programs write them: which names their labels have, and what becomes of them."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedDiffFMLib.anatomy.label_maps.reading import Anatomy, read_anatomy
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.tasks.known_anatomy import KnownAnatomy, check_anatomy
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume

DATA = Path(__file__).parents[1] / "Data"


@pytest.fixture
def labels(ct):
    """Numbers of its own on the grid of the real chest: 1 in bright voxels, 2 in soft tissue, 3 in one corner."""
    voxels = np.zeros(ct.voxels.shape, np.uint8)
    voxels[(ct.voxels > -100) & (ct.voxels <= 150)] = 2
    voxels[ct.voxels > 150] = 1
    voxels[:3, :3, :3] = 3
    return ct.with_voxels(voxels)


def counts(anatomy):
    numbers, how_many = np.unique(anatomy.voxels, return_counts=True)
    return dict(zip(numbers.tolist(), how_many.tolist(), strict=True))


def size(labels, number):
    return int((labels.voxels == number).sum())


def with_label_table(path, names):
    """Put the XML that TotalSegmentator writes into a NIfTI header, byte by byte as the NIfTI-1 standard says."""
    rows = "".join(f'<Label Key="{n}" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[{s}]]></Label>\n' for n, s in names)
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <VolumeInformation Index="0">   <LabelTable>\n'
        f"{rows}  </LabelTable> <VolumeType><![CDATA[Label]]></VolumeType> </VolumeInformation></CaretExtension>"
    ).encode()
    block = struct.pack("<ii", -(-(len(xml) + 8) // 16) * 16, 0) + xml
    block += b"\0" * (-len(block) % 16)
    raw = path.read_bytes()
    (offset,) = struct.unpack_from("<f", raw, 108)
    assert offset == 352
    header = bytearray(raw[:352])
    struct.pack_into("<f", header, 108, 352 + len(block))
    header[348] = 1
    path.write_bytes(bytes(header) + block + raw[352:])


def test_names_in_a_nifti_header(labels, ct, tmp_path):
    path = tmp_path / "organs.nii"
    write_volume(labels, path)
    with_label_table(path, [(1, "aorta"), (2, "heart"), (3, "liver"), (9, "spleen")])
    anatomy = read_anatomy(path, like=ct)
    assert isinstance(anatomy, Anatomy) and anatomy.same_grid(ct) and not anatomy.resampled
    assert counts(anatomy) == {
        0: size(labels, 0), 52: size(labels, 1), 51: size(labels, 2), 5: 27,
    }  # fmt: skip
    check_anatomy(anatomy, ct)
    assert str(KnownAnatomy(anatomy)) == "given"


def test_names_in_a_header_go_before_a_file_that_contradicts_them(labels, ct, tmp_path):
    path = tmp_path / "organs.nii"
    write_volume(labels, path)
    with_label_table(path, [(1, "aorta"), (2, "heart"), (3, "liver")])
    (tmp_path / "organs.json").write_text('{"1": "Aorta", "2": "heart", "3": "liver"}', encoding="utf-8")
    assert read_anatomy(path, like=ct).warnings == ()
    (tmp_path / "organs.json").write_text('{"1": "aorta", "2": "spleen", "3": "liver"}', encoding="utf-8")
    anatomy = read_anatomy(path, like=ct)
    assert set(counts(anatomy)) == {0, 52, 51, 5}
    assert "label 2 is heart there and spleen in organs.json" in anatomy.warnings[0]


@pytest.mark.parametrize("beside", ["organs.json", "labels.json", "labels.json of several"])
def test_names_in_a_file_beside_it(labels, ct, tmp_path, beside):
    write_volume(labels, tmp_path / "organs_seg.nii.gz")
    names = {"1": "aorta", "2": "heart", "3": "liver"}
    if beside == "organs.json":
        (tmp_path / "organs_seg.json").write_text(json.dumps(names))
    else:
        document = {"organs": names, "other": {"1": "spleen"}} if "several" in beside else names
        (tmp_path / "labels.json").write_text(json.dumps(document))
    assert set(counts(read_anatomy(tmp_path / "organs_seg.nii.gz", like=ct))) == {0, 52, 51, 5}


def test_the_repositorys_own_label_maps():
    """One has numbers of its own, the other TotalSegmentator's: both are understood by their names."""
    aorta = read_anatomy(DATA / "chest_ts_aorta_seg.nii.gz", like=read_volume(DATA / "chest_ts_aorta.nii.gz"))
    assert set(counts(aorta)) == {0, 51, 52, 54, 58, 56, 32, 118}  # celiac trunk and mesenteric artery have no class
    assert aorta.as_body == 2 and "2 names of no class" in str(KnownAnatomy(aorta))
    abdomen = read_anatomy(DATA / "abd_ts_example_seg.nii.gz")
    original = sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "abd_ts_example_seg.nii.gz")))
    assert np.array_equal(abdomen.voxels, original)


def test_without_names_the_numbers_are_totalsegmentators(labels, ct, tmp_path):
    write_volume(labels, tmp_path / "a.nrrd")
    (tmp_path / "a.json").write_text('{"format": 1, "task": "denoise"}')  # provenance is no table of names
    assert counts(read_anatomy(tmp_path / "a.nrrd", like=ct)) == counts(labels)
    write_volume(labels.with_voxels(labels.voxels.astype(np.int16) * 60), tmp_path / "b.nrrd")
    with pytest.raises(InputError, match=r"up to 180 without names.*b\.json"):
        read_anatomy(tmp_path / "b.nrrd")


def slicer_segmentation(path, layers, segments, like):
    """A .seg.nrrd as 3D Slicer writes it: layers as components of a vector, segments in the header."""
    image = sitk.JoinSeries([like.with_voxels(layer).to_sitk() for layer in layers])
    image = sitk.Compose([image[..., i] for i in range(len(layers))]) if len(layers) > 1 else image[..., 0]
    for i, (name, identity, value, layer) in enumerate(segments):
        facts = {"Name": name, "ID": identity, "LabelValue": value, "Layer": layer, "Color": "1 0 0"}
        for key, text in facts.items():
            image.SetMetaData(f"Segment{i}_{key}", str(text))
    sitk.WriteImage(image, str(path))


def test_a_segmentation_of_slicer(labels, ct, tmp_path):
    """By the name, or by the ID where somebody renamed the segment; a lesion is no class and becomes body."""
    path = tmp_path / "case.seg.nrrd"
    segments = [("Aorta", "Segment_1", 1, 0), ("mein Herz", "heart", 2, 0), ("lesion", "Segment_3", 3, 0)]
    slicer_segmentation(path, [labels.voxels], segments, labels)
    anatomy = read_anatomy(path, like=ct)
    assert counts(anatomy) == {
        0: size(labels, 0), 52: size(labels, 1), 51: size(labels, 2), 118: 27,
    }  # fmt: skip
    assert anatomy.as_body == 1


def test_overlapping_segments_of_slicer(labels, ct, tmp_path, caplog):
    """In layers: organs go before a lesion drawn over them."""
    lesion = np.zeros_like(labels.voxels)
    lesion[5:15, 10:30, 10:30] = 1
    path = tmp_path / "case.seg.nrrd"
    slicer_segmentation(path, [lesion, labels.voxels], [("tumour", "s", 1, 0), ("aorta", "a", 1, 1)], labels)
    anatomy = read_anatomy(path, like=ct)
    assert np.array_equal(anatomy.voxels == 52, labels.voxels == 1)
    only_lesion = (lesion == 1) & (labels.voxels == 0)
    assert only_lesion.any() and (anatomy.voxels[only_lesion] == 118).all()
    assert "tumour" in caplog.text and "label 2" in caplog.text and anatomy.as_body == 3


def test_a_smaller_segmentation_finds_its_place(labels, ct, tmp_path):
    """3D Slicer stores only the box around the segments."""
    image = labels.to_sitk()[10:40, 5:35, 2:18]
    path = tmp_path / "case.seg.nrrd"
    small = Volume.from_sitk(image)
    slicer_segmentation(path, [small.voxels], [("aorta", "a", 1, 0), ("heart", "h", 2, 0)], small)
    anatomy = read_anatomy(path, like=ct)
    assert anatomy.resampled and str(KnownAnatomy(anatomy)) == "given, resampled"
    expected = np.zeros_like(labels.voxels)
    expected[2:18, 5:35, 10:40] = np.array([0, 52, 51], np.uint8)[labels.voxels[2:18, 5:35, 10:40]]
    assert np.array_equal(anatomy.voxels, expected)


def test_a_map_of_no_organ_is_refused_with_close_names(labels, tmp_path):
    write_volume(labels, tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text('{"1": "livr", "2": "lesion", "3": "lesion 2"}')
    with pytest.raises(InputError, match=r"a\.nii\.gz names no organ.*'livr', 'lesion'.*near: .*liver"):
        read_anatomy(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("damage", [b"<LabelTable><Label Key='1'>", b"<!DOCTYPE x><LabelTable></LabelTable>", b"\xff"])
def test_a_damaged_table_counts_as_none(labels, tmp_path, damage):
    path = tmp_path / "a.nii"
    write_volume(labels, path)
    raw = path.read_bytes()
    block = struct.pack("<ii", 64, 0) + damage.ljust(56, b"\0")
    header = bytearray(raw[:352])
    struct.pack_into("<f", header, 108, 416)
    header[348] = 1
    path.write_bytes(bytes(header) + block + raw[352:])
    assert counts(read_anatomy(path)) == counts(labels)


def test_ct_values_and_missing_files_are_refused(ct, tmp_path):
    write_volume(ct, tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="not a label map"):
        read_anatomy(tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="does not exist"):
        read_anatomy(tmp_path / "none.nii.gz")
