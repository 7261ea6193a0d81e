"""The names of labels beside a map, in the forms and encodings that programs write them, by maps that nibabel made."""

import json

import nibabel
import numpy as np
import pytest

from MedDiffFMLib.anatomy.label_maps.reading import read_anatomy
from MedDiffFMLib.errors import InputError

# TotalSegmentator's numbers, from its own class map: what each test expects
SPLEEN, KIDNEY_RIGHT, KIDNEY_LEFT, LIVER, COLON, BODY = 1, 2, 3, 5, 20, 118
ORGANS = {1: "liver", 2: "Left kidney", 7: "tumor"}
EXPECTED = {1: LIVER, 2: KIDNEY_LEFT, 7: BODY}


def write_map(path, numbers=(1, 2, 7), dtype=np.uint8):
    """Blocks of each number side by side in a NIfTI of nibabel's: block i from x = 6 i, 5 wide, 10 × 10 across."""
    voxels = np.zeros((40, 20, 20), dtype)
    for i, number in enumerate(numbers):
        voxels[6 * i + 2 : 6 * i + 7, 5:15, 5:15] = number
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-3.0, -3.0, 3.0, 1.0]), dtype=dtype), path)
    return path


def block(anatomy, i):
    """The labels of the block i of such a map; voxels are (z, y, x)."""
    inside = anatomy.voxels[5:15, 5:15, 6 * i + 2 : 6 * i + 7]
    assert inside.min() == inside.max()
    return int(inside.min())


def check_names(path, numbers=(1, 2, 7), expected=EXPECTED):
    anatomy = read_anatomy(path)
    assert [block(anatomy, i) for i in range(len(numbers))] == [expected[n] for n in numbers]
    assert np.count_nonzero(anatomy.voxels) == 500 * len(numbers)
    return anatomy


JSON_FORMS = {
    "number: name": {"1": "liver", "2": "Left kidney", "7": "tumor"},
    "name: number": {"liver": 1, "Left kidney": 2, "tumor": 7},
    "name: text of a number": {"liver": "1", "Left kidney": "2", "tumor": "7"},
    "nnU-Net": {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "kidney left": 2, "tumor": 7},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    },
    "nnU-Net by regions": {"labels": {"background": 0, "body": [1, 2, 7], "liver": [1], "kidney_left": 2, "tumor": 7}},
    "MSD": {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "left kidney", "7": "cancer"}},
    "list of objects": [{"value": 1, "name": "liver"}, {"value": 2, "name": "left kidney"}, {"value": 7, "name": "x"}],
    "MONAI Label": {
        "label_info": [{"name": "liver", "idx": 1}, {"name": "left kidney", "idx": 2}, {"name": "x", "idx": 7}]
    },
    "MONAI's bundle": {"channel_def": {"0": "background", "1": "liver", "2": "left kidney", "7": "tumor"}},
    "label_dict within": {"label_dict": {"liver": 1, "left kidney": 2, "hepatic tumor": 7}},
    "list of names": ["background", "liver", "left kidney", "a", "b", "c", "d", "tumor"],
    "list without background": {"labels": ["liver", "left kidney", "a", "b", "c", "d", "tumor"]},
    "objects by number": {"1": {"name": "liver", "color": [1, 2, 3]}, "2": {"name": "kidney_left"}, "7": {"name": "x"}},
    "objects by name": {"liver": {"value": 1, "color": "red"}, "kidney_left": {"value": 2}, "tumor": {"value": 7}},
    "dcmqi": {
        "segmentAttributes": [
            [
                {"labelID": 1, "SegmentedPropertyTypeCodeSequence": {"CodeMeaning": "Liver"}},
                {
                    "labelID": 2,
                    "SegmentedPropertyTypeCodeSequence": {"CodeMeaning": "Kidney"},
                    "SegmentedPropertyTypeModifierCodeSequence": {"CodeMeaning": "Left"},
                },
                {"labelID": 7, "SegmentDescription": "tumor"},
            ]
        ]
    },
    "by file": {"organs": {"1": "liver", "2": "left kidney", "7": "tumor"}, "other": {"1": "spleen"}},
}  # fmt: skip


@pytest.mark.parametrize("form", JSON_FORMS)
def test_forms_of_json(tmp_path, form):
    path = write_map(tmp_path / "organs.nii.gz")
    (tmp_path / "organs.json").write_text(json.dumps(JSON_FORMS[form]), encoding="utf-8")
    anatomy = check_names(path)
    assert anatomy.as_body == 1
    assert any("counted from 1" in one for one in anatomy.warnings) == (form == "list without background")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-8", "cp1252"])
@pytest.mark.parametrize("form", ["json", "ctbl"])
def test_encodings(tmp_path, encoding, form):
    path = write_map(tmp_path / "organs.nii.gz")
    text = json.dumps({"1": "liver", "2": "Left kidney", "7": "Geschwür"}, ensure_ascii=False)
    if form == "ctbl":
        text = "1 liver 221 130 101 255\n2 Left_kidney 185 102 83 255\n7 Geschwür 1 2 3 255\n"
    (tmp_path / f"organs.{form}").write_bytes(text.encode(encoding))
    assert any("Geschwür" in sentence for sentence in check_names(path).warnings)


TABLES = {
    "organs.ctbl": "# Color table file organs.ctbl\n# 3 values\n0 Background 0 0 0 0\n1 liver 221 130 101 255\n"
    "2 kidney_left 185 102 83 255\n7 tumor 144 238 144 255\n",
    "organs.txt": "################\n# ITK-SnAP Label Description File\n"
    '    0     0    0    0        0  0  0    "Clear Label"\n'
    '    1   255    0    0        1  1  1    "liver"\n    2     0  255    0        1  1  1    "Kidney, left"\n'
    '    7     0    0  255        1  1  1    "tumor"\n',
    "organs.label": '1 255 0 0 1 1 1 "Liver"\n2 0 255 0 0.5 1 1 "left kidney"\n7 0 0 255 1 1 1 "tumor 1"\n',
    "organs.csv": "label,name\n1,liver\n2,left kidney\n7,tumor\n",
    "organs.CSV": "LabelValue,Name,Color_R,Color_G,Color_B\n1,liver,1,2,3\n2,kidney_left,1,2,3\n7,tumor,1,2,3\n",
    "organs.tsv": "index\tname\n1\tliver\n2\tleft kidney\n7\ttumor\n",
    "labels.csv": "name;value\nliver;1\nleft kidney;2\ntumor;7\n",
    "labels.txt": "1: liver\n2: left kidney\n7: tumor\n",
    "Labels.txt": "liver = 1\r\nKidney, left = 2\r\ntumor = 7\r\n",
    "organs_ColorTable.ctbl": "1 liver 221 130 101 255\n2 left_kidney 185 102 83 255\n7 tumor 1 2 3 255\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    path = write_map(tmp_path / "organs.nii.gz")
    (tmp_path / name).write_bytes(TABLES[name].encode())
    check_names(path)


def test_nnunets_data_set_above_the_label_maps(tmp_path):
    (tmp_path / "labelsTr").mkdir()
    path = write_map(tmp_path / "labelsTr" / "case_001.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps(JSON_FORMS["nnU-Net"]), encoding="utf-8")
    check_names(path)


def test_a_table_of_3d_slicer_beside_a_nrrd(tmp_path):
    nrrd = pytest.importorskip("nrrd")
    voxels = np.zeros((40, 20, 20), np.uint8)
    voxels[2:7, 5:15, 5:15] = 1
    header = {"space": "left-posterior-superior", "space directions": np.eye(3) * 3, "space origin": [0, 0, 0]}
    nrrd.write(str(tmp_path / "Segmentation-label.nrrd"), voxels, header)
    (tmp_path / "Segmentation-label_ColorTable.ctbl").write_text("1 Liver 221 130 101 255\n", encoding="utf-8")
    anatomy = read_anatomy(tmp_path / "Segmentation-label.nrrd")
    assert block(anatomy, 0) == LIVER and np.count_nonzero(anatomy.voxels) == 500


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("organs.json", '{"1": "2"}'),
        ("organs.json", '{"1": "liver", "2": '),
        ("organs.json", '{"liver": 1, "spleen": 1, "tumor": 7}'),
        ("organs.csv", "Patient,Date\nsomebody,yesterday\n"),
        ("organs.txt", "Segmented by hand in March"),
        ("dataset.json", '{"name": "Dataset001"}'),
    ],
)
def test_what_is_not_understood_is_said(tmp_path, name, content):
    """The numbers are TotalSegmentator's then, and a warning names the file that was to no avail."""
    path = write_map(tmp_path / "organs.nii.gz", (5, 2))
    (tmp_path / name).write_text(content, encoding="utf-8")
    anatomy = check_names(path, (5, 2), {5: LIVER, 2: KIDNEY_RIGHT})
    (sentence,) = anatomy.warnings
    assert f"({name} beside it holds none that are understood)" in sentence
    assert "taken for TotalSegmentator's (2 kidney_right, 5 liver)" in sentence


def test_names_beside_go_before_a_mask_without_names_and_a_mac_s_files_do_not(tmp_path):
    path = write_map(tmp_path / "map.nii.gz", (1,))
    (tmp_path / "._map.json").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + b"\0" * 100)
    (tmp_path / "map.json").write_text('{"liver": 1}', encoding="utf-8")
    assert check_names(path, (1,)).warnings == ()


@pytest.mark.parametrize("wrong", ["livr", "lvier", "kidny_left", "spleeen"])
def test_a_misspelled_organ_among_others_is_refused_with_the_right_one(tmp_path, wrong):
    path = write_map(tmp_path / "organs.nii.gz")
    (tmp_path / "organs.json").write_text(json.dumps({"1": wrong, "2": "colon", "7": "tumor"}), encoding="utf-8")
    with pytest.raises(InputError, match=rf"names a label '{wrong}': did you mean (liver|kidney_left|spleen)\?"):
        read_anatomy(path)


def test_names_that_are_no_organs_become_body_and_near_ones_are_named(tmp_path):
    path = write_map(tmp_path / "organs.nii.gz")
    names = {"1": "liver", "2": "lung_vessels", "7": "colon_cancer_primaries"}
    (tmp_path / "organs.json").write_text(json.dumps(names), encoding="utf-8")
    anatomy = check_names(path, expected={1: LIVER, 2: BODY, 7: BODY})
    assert anatomy.as_body == 2 and "lung_vessels, colon_cancer_primaries" in anatomy.warnings[0]
