"""The manifest says what it means or is refused with its line; patients never sit on two sides of the split."""

from collections import Counter
from pathlib import Path

import pytest

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.manifest import ManifestRow, read_manifest
from MedDiffFMTraining.data.split import assign_splits, patient_hash, split_of


def manifest(folder, *lines, header="path,patient,region,anatomy,lesion,lesion_labels,split,name"):
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_line_is_what_it_says(tmp_path):
    first, second = read_manifest(
        manifest(tmp_path, "ct/a.nii.gz,p1,chest,auto,m.nii.gz,1 3,test,one", "", "/b,p2,auto,none,,,,")
    )
    assert (first.name, first.path, first.anatomy) == ("one", tmp_path / "ct/a.nii.gz", "auto")
    assert (first.lesion, first.lesion_labels, first.split) == (tmp_path / "m.nii.gz", (1, 3), "test")
    assert second.line == 4 and str(second.path) == "/b" and second.lesion is None
    assert second.name.startswith("case-") and "p2" not in second.name
    again = read_manifest(manifest(tmp_path, "/new,p0,auto,none,,,,", "/b,p2,auto,none,,,,"))
    assert again[1].name == second.name  # it stays when lines are added


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,p,leg,none,,,,"], "line 2: region cannot be 'leg'"),
        (["a,,chest,none,,,,"], "line 2: patient is empty"),
        (["a,p,chest,none,,,trian,"], "line 2: split cannot be 'trian'"),
        (["a,p,chest,none,m,x,,"], "line 2: lesion_labels cannot be 'x'"),
        (["a,p,chest,none,,,,../up"], "cannot be the name of a folder"),
        (["a,p,chest,none,,,,n", "b,p,chest,none,,,,N"], "line 3: the name 'N' is that of line 2"),
        (["a,p,chest"], "line 2: it has fewer or more values"),
        ([], "no lines after its header"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_manifest(manifest(tmp_path, *lines))


def test_a_wrong_header_is_named(tmp_path):
    with pytest.raises(InputError, match="lacks the column 'anatomy'"):
        read_manifest(manifest(tmp_path, "a,p,chest", header="path,patient,region"))
    with pytest.raises(InputError, match="has a column 'lesions'"):
        read_manifest(manifest(tmp_path, "a,p,chest,none,", header="path,patient,region,anatomy,lesions"))


def test_the_hash_gives_ninety_five_and_five_percent_for_good():
    ids = [f"patient {i}" for i in range(20000)]
    shares = Counter(map(split_of, ids))
    # σ of a binomial: 42 for 90 %, 31 for 5 %
    assert abs(shares["train"] - 18000) < 170 and abs(shares["validation"] - 1000) < 125
    # worked out apart from the code: whoever changes the rule breaks every lab's split
    assert [split_of(f"patient {i}") for i in (0, 6, 68)] == ["train", "test", "validation"]
    assert any(split_of(i) != split_of(i, "another") for i in ids[:100])


def test_a_patients_hash_tells_no_id():
    assert patient_hash("LIDC-0001") == patient_hash("LIDC-0001") != patient_hash("LIDC-0002")
    assert patient_hash("LIDC-0001", "salt") != patient_hash("LIDC-0001") and len(patient_hash("x")) == 12


def row(line, patient, split="", path=None, pair=None):
    return ManifestRow(line, f"case{line}", Path(path or f"/ct{line}"), patient, split=split, pair=pair and Path(pair))


def test_a_named_split_holds_for_all_volumes_of_the_patient():
    """A patient that the hash puts into training follows the one line that says test."""
    patient = next(f"p{i}" for i in range(99) if split_of(f"p{i}") == "train")
    assert assign_splits([row(2, patient), row(3, patient, "test")]) == {"case2": "test", "case3": "test"}
    assert assign_splits([row(2, patient), row(3, patient)]) == {"case2": "train", "case3": "train"}


def test_a_patient_or_a_file_on_two_sides_is_refused_by_name():
    with pytest.raises(InputError, match=r"Lines 2 and 4 \(case2, case4\) are one patient in train and in test"):
        assign_splits([row(2, "a", "train"), row(3, "b"), row(4, "a", "test")])
    with pytest.raises(InputError, match=r"Lines 2 and 3 \(case2, case3\) share a file"):
        assign_splits([row(2, "a", "train", path="/one"), row(3, "b", "test", pair="/one")])
