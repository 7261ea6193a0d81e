"""The names of the classes, and how people write them."""

import hashlib
import subprocess
import sys

import pytest
from patience import PATIENCE

from MedDiffFMLib.anatomy.classes import (
    BODY,
    BONE,
    GAS,
    GROUPS,
    LUNG,
    ORGANS,
    close_names,
    label_for_foreign_name,
    label_number,
    label_numbers,
)
from MedDiffFMLib.errors import InputError


def test_the_first_117_are_totalsegmentators_own():
    """SHA-256 of "number name" lines of class_map["total"] in totalsegmentator 2.18.0."""
    text = "\n".join(f"{number} {name}" for number, name in ORGANS.items() if number <= 117)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "5351580bb7b1f175c98010c4de697456bf2fd8b540d999649f9b06580c1e00c8"
    )
    assert list(ORGANS) == list(range(1, 122))
    assert [ORGANS[n] for n in (1, 5, 51, 117, 118, 119)] == [
        "spleen", "liver", "heart", "costal_cartilages", "body", "lung",
    ]  # fmt: skip


def test_the_installed_totalsegmentator_agrees():
    maps = pytest.importorskip("totalsegmentator.map_to_binary", reason="TotalSegmentator is not installed")
    assert maps.class_map["total"] == {number: name for number, name in ORGANS.items() if number <= 117}


def test_the_label_map_in_the_repository_has_these_numbers(data):
    import json

    names = json.loads((data / "labels.json").read_text(encoding="utf-8"))["abd_ts_example"]
    assert len(names) > 50 and all(label_number(name) == int(number) for number, name in names.items())


def test_no_two_names_mean_the_same():
    for number, name in ORGANS.items():
        assert label_number(name) == label_for_foreign_name(name) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("Right kidney", 2),
        ("kidney-right", 2),
        ("vertebra_T12", 32),
        ("Vertebra L5", 27),
        ("LIVER", 5),
        ("oesophagus", 15),
        ("Left lower lobe of lung", 11),
        ("heart_ventricle_left", 51),
        ("rib left 10", 101),
    ],
)
def test_names_as_people_write_them(written, number):
    assert label_for_foreign_name(written) == number


def test_groups():
    assert set(label_numbers("lungs")) == {10, 11, 12, 13, 14, LUNG}
    assert set(label_numbers("kidneys")) == {2, 3} and label_numbers("liver") == (5,)
    assert set(label_numbers("left lung")) == {10, 11}
    assert set(label_numbers("vertebrae")) == set(range(26, 51)) and len(label_numbers("ribs")) == 24
    assert {25, 26, 50, 69, 78, 91, 92, 115, 116, BONE} <= set(label_numbers("bones"))
    assert not {79, 80, 89, 90, 117, BODY, GAS} & set(label_numbers("bones"))
    assert set(label_numbers("vessels")) == {*range(52, 69)} - {61}  # 61 is the atrial appendage
    assert label_numbers("body") == tuple(range(1, 122)) and label_number("body") == BODY
    assert all(1 <= n <= 121 for numbers in GROUPS.values() for n in numbers)


def test_coarse_names_in_a_label_map_become_what_a_threshold_would_find():
    assert (
        label_for_foreign_name("lung_left"),
        label_for_foreign_name("lungs"),
        label_for_foreign_name("ribs"),
        label_for_foreign_name("spine"),
    ) == (LUNG, LUNG, BONE, BONE)
    assert label_for_foreign_name("kidneys") is None and label_for_foreign_name("tumor") is None  # which kidney?


@pytest.mark.parametrize(
    ("wrong", "words"), [("livr", "liver"), ("kidny", "kidney"), ("xyz", "TotalSegmentator"), ("", "organ")]
)
def test_a_wrong_name_gets_the_nearest_ones(wrong, words):
    with pytest.raises(InputError, match=words):
        label_numbers(wrong)
    assert close_names("panceras") == ["pancreas"]


def test_it_needs_the_standard_library_only():
    names = "('numpy', 'torch', 'SimpleITK')"
    code = f"import sys, MedDiffFMLib.anatomy.classes; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
    )
    assert done.stdout.strip() == "[]", done.stderr
