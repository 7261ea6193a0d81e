"""Segmentations of 3D Slicer as it and pynrrd write them: headers that lack fields, overlaps, terminologies, .nhdr."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.errors import InputError

nrrd = pytest.importorskip("nrrd")

SPLEEN, KIDNEY_LEFT, LIVER, GALLBLADDER, AORTA, BODY = 1, 3, 5, 4, 52, 118
GENERAL = "Segmentation category and type - 3D Slicer General Anatomy list"


def terminology(kind, category="Anatomical Structure", side=""):
    side = f"SCT^7771000^{side}" if side else "^^"
    entry = f"{GENERAL}~SCT^123037004^{category}~SCT^10200004^{kind}~{side}~Anatomic codes - DICOM master list~^^~^^"
    return f"Segmentation.Status:inprogress|TerminologyEntry:{entry}|"


def boxes(*spans):
    """Voxels (x, y, z) of a layer with values along x: (value, first, last)."""
    voxels = np.zeros((30, 10, 8), np.uint8)
    for value, first, last in spans:
        voxels[first:last, 2:8, 2:6] = value
    return voxels


def write(path, layers, segments, **options):
    """A .seg.nrrd; segments: dicts of their fields as in the header (Name, LabelValue, …). One layer has 3 axes."""
    layered = len(layers) > 1
    voxels = np.stack(layers) if layered else layers[0]
    axes = [[2.0, 0, 0], [0, 2, 0], [0, 0, 2]]
    header = {"space": "left-posterior-superior", "space origin": [10, 20, 30], "encoding": "gzip"}
    header["kinds"] = (["list"] if layered else []) + ["domain"] * 3
    header["space directions"] = np.array([[np.nan] * 3, *axes]) if layered else np.array(axes)
    header["Segmentation_ContainedRepresentationNames"] = "Binary labelmap|"
    for i, facts in enumerate(segments):
        header |= {f"Segment{i}_{key}": str(value) for key, value in facts.items()}
    nrrd.write(str(path), voxels, header, **options)
    return path


def along_x(anatomy):
    """The labels in the middle of y and z."""
    return anatomy.voxels[4, 5].tolist()


def expected(*spans):
    line = [0] * 30
    for value, first, last in spans:
        line[first:last] = [value] * (last - first)
    return line


def test_names_of_the_terminology_where_the_user_s_own_tell_nothing(tmp_path):
    segments = [
        {"Name": "Segment_1", "ID": "Segment_1", "LabelValue": 1, "Layer": 0, "Tags": terminology("Liver")},
        {"Name": "meine Niere", "LabelValue": 2, "Layer": 0, "Tags": terminology("Kidney", side="Left")},
        {"Name": "Aorta", "LabelValue": 3, "Layer": 0, "Tags": terminology("Liver")},
        {"Name": "S4", "LabelValue": 4, "Layer": 0, "Tags": terminology("Liver", "Morphologically Altered Structure")},
    ]
    spans = [(1, 0, 5), (2, 6, 10), (3, 12, 15), (4, 16, 20)]
    anatomy = read_anatomy(write(tmp_path / "a.seg.nrrd", [boxes(*spans)], segments))
    assert along_x(anatomy) == expected((LIVER, 0, 5), (KIDNEY_LEFT, 6, 10), (AORTA, 12, 15), (BODY, 16, 20))
    assert anatomy.as_body == 1 and "'meine Niere' counts as kidney_left" in " ".join(anatomy.warnings)


def test_layers_of_old_versions_without_label_values(tmp_path):
    """Before 4.11 each segment was a layer with the value 1, and the header named neither."""
    layers = [boxes((1, 0, 9)), boxes((1, 12, 15)), boxes((1, 16, 20))]
    segments = [{"Name": "liver", "ID": "a"}, {"Name": "spleen", "ID": "b"}, {"Name": "x", "ID": "aorta"}]
    anatomy = read_anatomy(write(tmp_path / "a.seg.nrrd", layers, segments))
    assert along_x(anatomy) == expected((LIVER, 0, 9), (SPLEEN, 12, 15), (AORTA, 16, 20))


@pytest.mark.parametrize("order", [1, -1])
def test_overlapping_organs_the_smaller_stays_whole_in_any_order(tmp_path, order):
    """Values are shared between layers; a segment called body lies over all."""
    layers = [boxes((1, 0, 10), (2, 12, 15)), boxes((1, 8, 12)), boxes((1, 0, 30))]
    names = [("liver", 1, 0), ("spleen", 2, 0), ("gallbladder", 1, 1), ("body", 1, 2)]
    segments = [{"Name": name, "LabelValue": value, "Layer": layer} for name, value, layer in names]
    if order < 0:
        layers, segments = layers[::-1], [s | {"Layer": 2 - s["Layer"]} for s in segments]
    anatomy = read_anatomy(write(tmp_path / "a.seg.nrrd", layers, segments))
    organs = [(BODY, 0, 30), (LIVER, 0, 8), (GALLBLADDER, 8, 12), (SPLEEN, 12, 15)]
    assert along_x(anatomy) == expected(*organs)
    assert "48 voxels belong to several organs (gallbladder and liver)" in anatomy.warnings[0]


def test_one_value_of_two_organs_is_refused(tmp_path):
    segments = [{"Name": "liver", "LabelValue": 1, "Layer": 0}, {"Name": "spleen", "LabelValue": 1, "Layer": 0}]
    with pytest.raises(InputError, match="gives label 1 two names, 'liver' and 'spleen'"):
        read_anatomy(write(tmp_path / "a.seg.nrrd", [boxes((1, 0, 10))], segments))


def test_fields_that_are_missing_or_empty(tmp_path):
    """A value of 0 is background; a name that is empty leaves the ID; without a value the order counts."""
    segments = [
        {"Name": "", "ID": "liver", "LabelValue": 1, "Layer": 0},
        {"Name": "spleen", "LabelValue": 0, "Layer": 0},
        {"Name": "aorta", "LabelValue": 3},
    ]
    anatomy = read_anatomy(write(tmp_path / "a.seg.nrrd", [boxes((1, 0, 5), (3, 10, 12))], segments))
    assert along_x(anatomy) == expected((LIVER, 0, 5), (AORTA, 10, 12))
    segments = [{"Name": "liver"}, {"Name": "spleen"}]
    anatomy = read_anatomy(write(tmp_path / "b.seg.nrrd", [boxes((1, 0, 5), (2, 10, 12))], segments))
    assert along_x(anatomy) == expected((LIVER, 0, 5), (SPLEEN, 10, 12))


def test_a_header_in_a_file_of_its_own(tmp_path):
    segments = [{"Name": "Leber", "ID": "liver", "LabelValue": 1, "Layer": 0}]
    path = write(tmp_path / "a.seg.nhdr", [boxes((1, 0, 10))], segments)
    anatomy = read_anatomy(path)
    assert along_x(anatomy) == expected((LIVER, 0, 10)) and anatomy.origin == (10, 20, 30)
