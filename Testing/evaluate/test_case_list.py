"""Lists of cases: what a line says, which lines are taken, and what is refused with its line."""

import json
from dataclasses import replace

import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.split import split_of
from MedDiffFMTraining.evaluate.cases.case_list import Columns, read_case_list

PAIRS = Columns(("low", "full"), ("anatomy",), ("lesion_labels",))


@pytest.fixture
def folder(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz", "c.nrrd", "a_low.nii.gz", "b_low.nii.gz", "organs.nii.gz"):
        (tmp_path / name).touch()
    return tmp_path


def listed(folder, header, *lines, columns=PAIRS, **options):
    path = folder / "list.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return read_case_list(path, columns, **options)


def test_a_line_is_what_it_says(folder):
    header = "full, low, region, name, patient, anatomy, lesion_labels, remark"
    one, two = listed(
        folder,
        header,
        "a.nii.gz,a_low.nii.gz,chest,,p1,organs.nii.gz,2,x",
        "",
        "c.nrrd,b_low.nii.gz,abdomen,two,,auto,,",
    )
    assert (one.name, one.region, one.patient, one.line) == ("a_low", "chest", "p1", 2)
    assert one.files == {
        "low": folder / "a_low.nii.gz",
        "full": folder / "a.nii.gz",
        "anatomy": folder / "organs.nii.gz",
    }
    assert one.words == {"lesion_labels": "2"}
    assert (two.name, two.line, two.words, "anatomy" in two.files) == ("two", 4, {"anatomy": "auto"}, False)


def test_a_manifest_is_a_list_of_its_test_lines(folder):
    """Its path is the full dose, its pair the low one."""
    header = "path,pair,patient,region,anatomy,split"
    lines = ["a.nii.gz,a_low.nii.gz,p1,chest,none,test", "b.nii.gz,b_low.nii.gz,p2,chest,none,train"]
    (case,) = listed(folder, header, *lines)
    assert (case.files["full"], case.files["low"]) == (folder / "a.nii.gz", folder / "a_low.nii.gz")
    with pytest.raises(InputError, match="no line of the split test"):
        listed(folder, header, lines[1])
    with pytest.raises(InputError, match="line 3: the split cannot be ''"):
        listed(folder, header, lines[0], "b.nii.gz,b_low.nii.gz,p2,chest,none,")
    with pytest.raises(InputError, match="line 2: the split cannot be 'tset'"):
        listed(folder, header, "a.nii.gz,a_low.nii.gz,p1,chest,none,tset")


def test_the_store_tells_which_lines_are_its_test_set(folder):
    """Patients without a split are drawn by the hash of `train prepare`; a refused line is of no split."""
    patients = [f"p{n}" for n in range(200)]
    test = next(p for p in patients if split_of(p) == "test")
    train = next(p for p in patients if split_of(p) == "train")
    header = "path,patient,region,anatomy,name"
    lines = [f"a.nii.gz,{test},chest,none,one", f"b.nii.gz,{train},chest,none,two", f"c.nrrd,{test},abdomen,none,three"]
    rows = [("one", "test", "accepted"), ("two", "train", "accepted"), ("three", "test", "refused")]
    record = {"rows": [dict(zip(("name", "split", "status"), row, strict=True)) for row in rows]}
    (folder / "report.json").write_text(json.dumps(record), encoding="utf-8")
    (case,) = listed(folder, header, *lines, columns=Columns(("ct",)), store=folder)
    assert (case.name, case.files) == ("one", {"ct": folder / "a.nii.gz"})
    with pytest.raises(InputError, match=r"line 3: .* knows nothing of it.*--salt"):
        listed(folder, header, lines[0], lines[1].replace("two", "other"), columns=Columns(("ct",)), store=folder)
    with pytest.raises(InputError, match=r"no report\.json"):
        listed(folder, header, *lines, columns=Columns(("ct",)), store=folder / "a.nii.gz")


A, B = "a.nii.gz,a_low.nii.gz,chest,", "b.nii.gz,b_low.nii.gz,chest,"


@pytest.mark.parametrize(
    ("header", "lines", "words"),
    [
        ("full,region", ["a.nii.gz,chest"], r"no column 'low' \(in a manifest 'pair'\), only full, region"),
        ("full,low", ["a.nii.gz,a_low.nii.gz"], "no column 'region'"),
        ("full,low,region", ["a.nii.gz,x.nii.gz,chest"], r"line 2: low names .*x\.nii\.gz, which does not exist"),
        ("full,low,region", ["a.nii.gz,,chest"], "line 2: low is empty"),
        ("full,low,region", ["a.nii.gz,a_low.nii.gz,leg"], "line 2: the region cannot be 'leg'"),
        ("full,low,region", ["a.nii.gz,a_low.nii.gz,auto"], "line 2: the region cannot be 'auto'"),
        ("full,low,region", ["a.nii.gz,a_low.nii.gz"], "line 2: it has fewer or more cells"),
        ("full,low,region,name", [A + "x", B + "x"], "lines 2 and 3: both cases are called 'x'"),
        ("full,low,region,name", [A + "x", A + "y"], "lines 2 and 3: both name a_low"),
        ("full,low,region,name", [A + "../x"], "cannot be a case's name"),
        ("full,low,region,patient", [A + "p", B + "p"], "lines 2 and 3: one patient is there twice"),
        ("full,low,region,anatomy", [A + "x.nii.gz"], r"line 2: anatomy names .*which does not exist"),
        ("full,low,region", [], "no lines after its header"),
    ],
)
def test_what_cannot_be_a_list_is_refused_with_its_line(folder, header, lines, words):
    with pytest.raises(InputError, match=words):
        listed(folder, header, *lines)


def test_a_file_that_is_no_list(folder):
    with pytest.raises(InputError, match="is not a file"):
        read_case_list(folder / "none.csv", PAIRS)
    (folder / "x.csv").write_bytes(b"\xff\xfe\x00a,b\n\x80")
    with pytest.raises(InputError, match="not a CSV file in UTF-8"):
        read_case_list(folder / "x.csv", PAIRS)


def test_each_ct_of_a_patient_counts_where_volumes_do(folder):
    """As in the paper's synthesis: of SegRap a patient has two CTs, of AutoPET several."""
    lines = "full,low,region,patient", A + "p", B + "p"
    with pytest.raises(InputError, match="one patient is there twice"):
        listed(folder, *lines)
    assert [case.name for case in listed(folder, *lines, columns=replace(PAIRS, volumes=True))] == ["a_low", "b_low"]
    with pytest.raises(InputError, match="both name a_low"):
        listed(folder, lines[0] + ",name", A + "p,x", A + "p,y", columns=replace(PAIRS, volumes=True))


def test_two_parts_of_one_patient_are_two_cases(folder):
    two = "full,low,region,patient", A + "p", B.replace("chest", "abdomen") + "p"
    assert [case.region for case in listed(folder, *two)] == ["chest", "abdomen"]
