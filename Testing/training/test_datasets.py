"""The manifest of every data set of the paper, from a small folder as its owners lay it out; lines written by hand."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from data_set_layouts import LAYOUTS, laid_out, tree
from training_runs import REPOSITORY

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.dicom.writing import write_series
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.__main__ import main
from MedDiffFMTraining.data.dataset_lines import dataset_lines
from MedDiffFMTraining.data.datasets import DATA_SETS
from MedDiffFMTraining.data.manifest import read_manifest, write_manifest
from MedDiffFMTraining.data.nnunet_split import fold_of
from MedDiffFMTraining.data.prepare import Settings
from MedDiffFMTraining.data.run import prepare_manifest
from MedDiffFMTraining.data.split import assign_splits
from MedDiffFMTraining.data.store import open_store
from MedDiffFMTraining.evaluate.cases.case_list import Columns, read_case_list

RECORD = {"task": "denoise", "synthetic": False, "model": {"name": "tiny", "sha256": "0" * 64}}
BOWEL, COLON = 18, 20  # in the labels of abd_ts_example


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_lines_of_a_data_set(tmp_path, name):
    folder = laid_out(tmp_path / "raw data", name)
    _, region, lines = LAYOUTS[name]
    expected = []
    for case, path, patient, further in lines:
        files = {column: str(folder / further[column]) for column in ("lesion", "pair") if column in further}
        line = {"name": case, "path": str(folder / path), "patient": patient, "region": region, "anatomy": "auto"}
        expected.append(line | {"split": "", "lesion_labels": ""} | further | files)
    assert [{"lesion_labels": ""} | line for line in dataset_lines(name, folder)] == expected


def test_every_data_set_of_the_paper_is_there():
    assert list(DATA_SETS) == list(LAYOUTS)
    pre_training = list(DATA_SETS.values())[:13]
    assert sum(one.cases for one in pre_training) == 5376  # Table I
    assert [one.cases for one in list(DATA_SETS.values())[13:]] == [10, 250, 63, 90, 131, 86]  # Table II


@pytest.mark.parametrize("name", LAYOUTS)
def test_train_prepare_takes_the_manifest(tmp_path, name):
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, dataset_lines(name, laid_out(tmp_path / "raw", name)))
    rows = read_manifest(manifest)
    assert all(path.exists() for row in rows for path in row.files.values())
    assert set(assign_splits(rows)) == {row.name for row in rows}


@pytest.mark.parametrize(("name", "columns"), [("mayo-2016", ("full", "low")), ("rplhr-ct", ("thin", "thick"))])
def test_an_evaluation_takes_the_pairs(tmp_path, name, columns):
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, dataset_lines(name, laid_out(tmp_path / "raw", name)))
    cases = read_case_list(manifest, Columns(columns))
    tested = [line for line in LAYOUTS[name][2] if line[3]["split"] == "test"]
    assert [case.files[columns[1]] for case in cases] == [tmp_path / "raw" / line[3]["pair"] for line in tested]


@pytest.fixture(scope="module")
def abdomen(data):
    """14 slices of a real CT, and a mask: 1 plays the organ or the first node, 2 the tumor or the second node."""
    image, organs = (read_volume(data / f"abd_ts_example{end}.nii.gz").to_sitk()[:, :, 50:64] for end in ("", "_seg"))
    numbers = sitk.GetArrayFromImage(organs)
    mask = sitk.GetImageFromArray((numbers == BOWEL) + 2 * (numbers == COLON).astype(np.uint8))
    mask.CopyInformation(organs)
    return image, mask


@pytest.mark.parametrize(("name", "lesion"), [("msd-liver", [2]), ("abd-ln", [1, 2])])
def test_the_store_has_the_lesions_of_the_owners_masks(tmp_path, abdomen, name, lesion):
    """NIfTI where 1 is an organ, DICOM where all are lesions; through `train prepare`, without TotalSegmentator."""
    image, mask = abdomen
    (line,) = dataset_lines(name, laid_out(tmp_path / "raw", name))
    sitk.WriteImage(mask, line["lesion"])
    if name == "abd-ln":
        shutil.rmtree(line["path"])
        write_series(Volume.from_sitk(image), Path(line["path"]), RECORD)
    else:
        sitk.WriteImage(image, line["path"])
    (line,) = dataset_lines(name, tmp_path / "raw")
    write_manifest(tmp_path / "manifest.csv", [line | {"anatomy": "none"}])
    (outcome,) = prepare_manifest(tmp_path / "manifest.csv", tmp_path / "store", Settings(spacing_mm=None))
    assert outcome.cases == [line["name"]], outcome.reasons
    (case,) = open_store(tmp_path / "store", "train")
    numbers = sitk.GetArrayFromImage(mask)
    assert set(np.unique(numbers)) == {0, 1, 2}
    assert case.facts.region == "abdomen" and np.asarray(case.lesion).sum() == np.isin(numbers, lesion).sum()


def test_the_folder_of_the_task_itself_will_do(tmp_path):
    laid_out(tmp_path, "msd-liver")
    assert dataset_lines("msd-liver", tmp_path / "Task03_Liver") == dataset_lines("msd-liver", tmp_path)


def test_a_name_has_only_what_a_manifest_allows(tmp_path):
    folder = tree(tmp_path, [f"PETCT_01ab/03-23-2003-Ganzkörper {'mit KM ' * 20}-1/CT.nii.gz"])
    write_manifest(tmp_path / "m.csv", dataset_lines("autopet", folder))
    assert re.fullmatch(
        r"autopet-01ab-03-23-2003-Ganzk-rper-mit-KM-[A-Za-z-]+", read_manifest(tmp_path / "m.csv")[0].name
    )


def msd_lung(folder, count=63):
    return tree(
        folder, [f"Task06_Lung/{kind}/lung_{n:03}.nii.gz" for kind in ("imagesTr", "labelsTr") for n in range(count)]
    )


def drawn_to_test(folder, seed):
    return {line["name"] for line in dataset_lines("msd-lung", folder, seed) if line["split"] == "test"}


def test_a_fifth_of_the_patients_of_a_lesion_set_is_for_testing(tmp_path):
    folder = msd_lung(tmp_path)
    assert len(drawn_to_test(folder, 0)) == 13  # 12.6 of 63
    assert drawn_to_test(folder, 0) == drawn_to_test(folder, 0) != drawn_to_test(folder, 1)


def test_a_tenth_of_the_others_is_for_validation_and_nnunet_takes_the_split(tmp_path):
    """The paper's 80 % are for training and validation; nnU-Net, which judges, wants both too."""
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, dataset_lines("msd-lung", msd_lung(tmp_path / "raw")))
    rows = read_manifest(manifest)
    assert Counter(row.split for row in rows) == {"train": 45, "validation": 5, "test": 13}
    fold = fold_of(rows)
    assert (len(fold["train"]), len(fold["val"])) == (45, 5)


def test_the_draw_is_the_same_on_every_machine(tmp_path):
    """The lowest two of `printf 'draw\\n0\\nN' | sha256sum` for N of 000 … 009: 0845… and 10a1…"""
    assert drawn_to_test(msd_lung(tmp_path, 10), 0) == {"msd-lung-002", "msd-lung-009"}


def ct_rate(folder, patients):
    scans = [f"train_{n}/train_{n}_{scan}/train_{n}_{scan}" for n in range(patients) for scan in "ab"]
    tree(folder, ["no_chest_train.txt", *(f"train_fixed/{scan}_{k}.nii.gz" for scan in scans for k in (1, 2))])
    return folder


def test_a_thousand_scans_of_ct_rate_are_drawn_by_seed(tmp_path):
    folder = ct_rate(tmp_path, 600)
    first, again, other = (dataset_lines("ct-rate", folder, seed) for seed in (0, 0, 1))
    assert first == again and len(first) == len(other) == 1000
    names = {line["name"] for line in first}
    assert len(names) == 1000 and all(re.fullmatch(r"ct-rate-\d+-[ab]-1", name) for name in names)
    assert names != {line["name"] for line in other}
    assert all(line["patient"] == line["name"].rpartition("-")[0][:-2] for line in first)


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("msd-brain", [], "There is no data set 'msd-brain': write one of structseg, instance-2022"),
        (
            "bmad",
            ["a.png"],
            "it holds single slices, which `evaluate detect-anomalies --bmad DIR` reads",
        ),
        (
            "word",
            ["WORD/labelsTr/word_0002.nii.gz"],
            "imagesTr and imagesVal with word_NNNN.nii.gz was expected, found were files such as raw/WORD",
        ),
        ("chaos", [], "was expected, no files were found"),
        ("ct-rate", ["train/train_1/train_1_a/train_1_a_1.nii.gz"], "headers of its folder train lack spacing"),
        ("ct-rate", ["train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"], "has no no_chest_train.txt"),
        ("autopet", ["PETCT_01/03-NA/1.0-GK/1-001.dcm"], "these are the DICOM series, so convert them"),
        ("segthor", ["a/Patient_01/Patient_01.nii.gz", "b/Patient_01/Patient_01.nii.gz"], "two CTs of the case 01"),
        (
            "msd-liver",
            [*(f"Task03_Liver/imagesTr/liver_{n}.nii.gz" for n in range(3)), "Task03_Liver/labelsTr/liver_1.nii.gz"],
            "has no mask of raw/Task03_Liver/imagesTr/liver_0.nii.gz, Task03_Liver/labelsTr/liver_0.nii.gz was "
            "expected, and 2 CTs lack theirs",
        ),
        ("rplhr-ct", ["train/1mm/a.nii.gz", "val/5mm/a.nii.gz"], "has no second CT of raw/train/1mm/a.nii.gz"),
        ("mayo-2016", ["L067/full_1mm/1.IMA"], "has no second CT of raw/L067/full_1mm, L067/quarter_1mm was expected"),
        ("med-ln", ["MED_LYMPH_001/s/t/1.dcm"], "MED_LYMPH_001/MED_LYMPH_001_mask.nii.gz was expected"),
        ("med-ln", ["MED_LYMPH_001/s/t/1.dcm", "MED_LYMPH_001/s/u/1.dcm"], "two CTs of the case 001"),
        (
            "abd-ln",
            ["ABD_LYMPH_001/s/t/1.dcm", *(f"{m}/ABD_LYMPH_001/ABD_LYMPH_001_mask.nii.gz" for m in "ab")],
            "holds raw/a/ABD_LYMPH_001/ABD_LYMPH_001_mask.nii.gz and raw/b/ABD",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, monkeypatch, capsys, name, files, words):
    (tmp_path / "raw").mkdir()
    tree(tmp_path / "raw", files)
    monkeypatch.setattr(
        sys, "argv", ["train", "manifest", "--dataset", name, str(tmp_path / "raw"), str(tmp_path / "m")]
    )
    assert main() == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("meddiff-fm: ") and said.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        dataset_lines("word", tmp_path / "none")


def test_only_scans_without_a_chest(tmp_path):
    (tree(tmp_path, ["train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"]) / "no_chest_train.txt").write_text(
        "train_1_a_1.nii.gz\n"
    )
    with pytest.raises(InputError, match=r"holds only CTs that no_chest_train.txt leaves out"):
        dataset_lines("ct-rate", tmp_path)


def test_the_command_counts_beside_the_paper(tmp_path, monkeypatch, capsys):
    folder, file = laid_out(tmp_path / "raw", "segrap-2023"), tmp_path / "manifest.csv"
    monkeypatch.setattr(sys, "argv", ["train", "manifest", "--dataset", "segrap-2023", str(folder), str(file)])
    assert main() == 0
    assert capsys.readouterr().out == f"{file}: 2 CTs (patients: 1; cases in the paper: 140)\n"
    assert len(read_manifest(file)) == 2


def test_the_document_has_a_command_for_each():
    text = (REPOSITORY / "Training/data/datasets.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`--dataset ([a-z0-9-]+)`", text)) == set(DATA_SETS)
