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

# data set: the files of its folder (beside what must be passed over), and region; then for each line: name, path,
# patient, and what else is not empty
LAYOUTS = {
    "structseg": (
        "HaN_OAR/1/data.nii.gz HaN_OAR/1/label.nii.gz HaN_OAR/12/data.nii.gz HaN_OAR/12/label.nii.gz "
        "Thoracic_OAR/1/data.nii.gz Naso_GTV/1/data.nii.gz",
        "head-neck",
        [
            ("structseg-1", "HaN_OAR/1/data.nii.gz", "structseg-1", {}),
            ("structseg-12", "HaN_OAR/12/data.nii.gz", "structseg-12", {}),
        ],
    ),
    "instance-2022": (
        "train_2/data/001.nii.gz train_2/data/._001.nii.gz train_2/label/001.nii.gz evaluation/101.nii.gz "
        "my_train_2/label/001.nii.gz",
        "head-neck",
        [
            (
                "instance-2022-001",
                "train_2/data/001.nii.gz",
                "instance-2022-001",
                {"lesion": "train_2/label/001.nii.gz"},
            ),
            ("instance-2022-evaluation-101", "evaluation/101.nii.gz", "instance-2022-evaluation-101", {}),
        ],
    ),
    "han-seg": (
        "HaN-Seg/set_1/case_01/case_01_IMG_CT.nrrd HaN-Seg/set_1/case_01/case_01_IMG_MR_T1.nrrd "
        "HaN-Seg/set_1/case_01/case_01_OAR_Brainstem.seg.nrrd",
        "head-neck",
        [("han-seg-01", "HaN-Seg/set_1/case_01/case_01_IMG_CT.nrrd", "han-seg-01", {})],
    ),
    "segrap-2023": (
        "SegRap2023_Training_Set_120cases/segrap_0000/image.nii.gz "
        "SegRap2023_Training_Set_120cases/segrap_0000/image_contrast.nii.gz "
        "SegRap2023_Training_Set_120cases/segrap_0000/Brain.nii.gz "
        "SegRap2023_Training_Set_120cases_OneHot_Labels/Task001/segrap_0000.nii.gz",
        "head-neck",
        [
            (
                f"segrap-2023-0000-{kind}",
                f"SegRap2023_Training_Set_120cases/segrap_0000/{kind}.nii.gz",
                "segrap-2023-0000",
                {},
            )
            for kind in ("image", "image_contrast")
        ],
    ),
    "segthor": (
        "train/Patient_01/Patient_01.nii.gz train/Patient_01/GT.nii.gz test/Patient_41.nii.gz",
        "chest",
        [("segthor-01", "train/Patient_01/Patient_01.nii.gz", "segthor-01", {})],
    ),
    "ct-rate": (
        "dataset/train_fixed/train_1/train_1_a/train_1_a_10.nii.gz "
        "dataset/train_fixed/train_1/train_1_a/train_1_a_2.nii.gz "
        "dataset/train_fixed/train_1/train_1_b/train_1_b_1.nii.gz "
        "dataset/train_fixed/train_109/train_109_a/train_109_a_1.nii.gz "
        "dataset/valid_fixed/valid_1/valid_1_a/valid_1_a_1.nii.gz",
        "chest",
        [
            ("ct-rate-1-a-2", "dataset/train_fixed/train_1/train_1_a/train_1_a_2.nii.gz", "ct-rate-1", {}),
            ("ct-rate-1-b-1", "dataset/train_fixed/train_1/train_1_b/train_1_b_1.nii.gz", "ct-rate-1", {}),
        ],
    ),
    "abdomenct-1k": (
        "AbdomenCT-1K-ImagePart1/Case_00001_0000.nii.gz AbdomenCT-1K-ImagePart3/Case_01062_0000.nii.gz "
        "Mask/Case_00001.nii.gz",
        "abdomen",
        [
            ("abdomenct-1k-00001", "AbdomenCT-1K-ImagePart1/Case_00001_0000.nii.gz", "abdomenct-1k-00001", {}),
            ("abdomenct-1k-01062", "AbdomenCT-1K-ImagePart3/Case_01062_0000.nii.gz", "abdomenct-1k-01062", {}),
        ],
    ),
    "amos-2022": (
        "amos22/imagesTr/amos_0001.nii.gz amos22/labelsTr/amos_0001.nii.gz amos22/imagesTr/amos_0501.nii.gz "
        "amos22/imagesVa/amos_0008.nii.gz amos22/imagesTs/amos_0500.nii.gz "
        "__MACOSX/amos22/imagesTr/amos_0001.nii.gz",
        "abdomen",
        [
            ("amos-2022-0001", "amos22/imagesTr/amos_0001.nii.gz", "amos-2022-0001", {}),
            ("amos-2022-0008", "amos22/imagesVa/amos_0008.nii.gz", "amos-2022-0008", {}),
            ("amos-2022-0500", "amos22/imagesTs/amos_0500.nii.gz", "amos-2022-0500", {}),
        ],
    ),
    "btcv": (
        "RawData/Training/img/img0001.nii.gz RawData/Training/label/label0001.nii.gz "
        "RawData/Testing/img/img0061.nii.gz",
        "abdomen",
        [("btcv-0001", "RawData/Training/img/img0001.nii.gz", "btcv-0001", {})],
    ),
    "chaos": (
        "Train_Sets/CT/1/DICOM_anon/i0000,0000b.dcm Train_Sets/CT/1/DICOM_anon/i0001,0000b.dcm "
        "Train_Sets/CT/1/Ground/liver_GT_000.png Train_Sets/MR/1/T2SPIR/DICOM_anon/IMG-0002-00001.dcm "
        "Test_Sets/CT/3/DICOM_anon/i0000,0000b.dcm",
        "abdomen",
        [("chaos-1", "Train_Sets/CT/1/DICOM_anon", "chaos-1", {})],
    ),
    "word": (
        "WORD-V0.1.0/imagesTr/word_0002.nii.gz WORD-V0.1.0/labelsTr/word_0002.nii.gz "
        "WORD-V0.1.0/imagesVal/word_0001.nii.gz WORD-V0.1.0/imagesTs/word_0014.nii.gz",
        "abdomen",
        [
            ("word-0001", "WORD-V0.1.0/imagesVal/word_0001.nii.gz", "word-0001", {}),
            ("word-0002", "WORD-V0.1.0/imagesTr/word_0002.nii.gz", "word-0002", {}),
        ],
    ),
    "totalsegmentator": (
        "s0011/ct.nii.gz s0011/segmentations/spleen.nii.gz s1429/ct.nii.gz meta.csv",
        "auto",
        [
            ("totalsegmentator-s0011", "s0011/ct.nii.gz", "totalsegmentator-s0011", {}),
            ("totalsegmentator-s1429", "s1429/ct.nii.gz", "totalsegmentator-s1429", {}),
        ],
    ),
    "autopet": (
        "FDG-PET-CT-Lesions/PETCT_0011f3deaf/03-23-2003-NA-PET_CT-6698/CT.nii.gz "
        "FDG-PET-CT-Lesions/PETCT_0011f3deaf/03-23-2003-NA-PET_CT-6698/CTres.nii.gz "
        "FDG-PET-CT-Lesions/PETCT_0011f3deaf/03-23-2003-NA-PET_CT-6698/SUV.nii.gz "
        "FDG-PET-CT-Lesions/PETCT_0011f3deaf/10-01-2004-NA-PET_CT-7701/CT.nii.gz",
        "auto",
        [
            (
                f"autopet-0011f3deaf-{study}",
                f"FDG-PET-CT-Lesions/PETCT_0011f3deaf/{study}/CT.nii.gz",
                "autopet-0011f3deaf",
                {},
            )
            for study in ("03-23-2003-NA-PET_CT-6698", "10-01-2004-NA-PET_CT-7701")
        ],
    ),
    "mayo-2016": (
        "L067/full_1mm/L067_FD_1_1.CT.0001.IMA L067/quarter_1mm/L067_QD_1_1.CT.0001.IMA "
        "L067/full_3mm/L067_FD_3_1.CT.0001.IMA "
        "1mm_B30/full_1mm/L096/L096_FD_1_1.CT.0001.IMA 1mm_B30/quarter_1mm/L096/L096_QD_1_1.CT.0001.IMA "
        "D45/full_1mm/L506/full_1mm/L506_FD_1_1.CT.0001.IMA D45/quarter_1mm/L506/quarter_1mm/L506_QD_1_1.CT.0001.IMA",
        "abdomen",
        [
            ("mayo-2016-L067", "L067/full_1mm", "mayo-2016-L067", {"pair": "L067/quarter_1mm", "split": "test"}),
            (
                "mayo-2016-L096",
                "1mm_B30/full_1mm/L096",
                "mayo-2016-L096",
                {"pair": "1mm_B30/quarter_1mm/L096", "split": "test"},
            ),
            (
                "mayo-2016-L506",
                "D45/full_1mm/L506/full_1mm",
                "mayo-2016-L506",
                {"pair": "D45/quarter_1mm/L506/quarter_1mm", "split": "test"},
            ),
        ],
    ),
    "rplhr-ct": (
        "train/1mm/CT00000001.nii.gz train/5mm/CT00000001.nii.gz val/1mm/CT00000001.nii.gz val/5mm/CT00000001.nii.gz "
        "test/1mm/CT00000002.nii.gz test/5mm/CT00000002.nii.gz",
        "chest",
        [
            (
                f"rplhr-ct-{side}-{case}",
                f"{side}/1mm/{case}.nii.gz",
                f"rplhr-ct-{side}-{case}",
                {"pair": f"{side}/5mm/{case}.nii.gz", "split": split},
            )
            for side, case, split in (
                ("test", "CT00000002", "test"),
                ("train", "CT00000001", "train"),
                ("val", "CT00000001", "validation"),
            )
        ],
    ),
    "msd-lung": (
        "Task06_Lung/imagesTr/lung_001.nii.gz Task06_Lung/imagesTr/._lung_001.nii.gz "
        "Task06_Lung/labelsTr/lung_001.nii.gz Task06_Lung/imagesTs/lung_002.nii.gz",
        "chest",
        [
            (
                "msd-lung-001",
                "Task06_Lung/imagesTr/lung_001.nii.gz",
                "msd-lung-001",
                {"lesion": "Task06_Lung/labelsTr/lung_001.nii.gz", "lesion_labels": "1", "split": "train"},
            )
        ],
    ),
    "med-ln": (
        "CT_Lymph_Nodes/MED_LYMPH_001/09-14-1999-MED-1/300-thorax-2/1-001.dcm "
        "CT_Lymph_Nodes/ABD_LYMPH_001/09-14-1999-ABD-1/300-abdomen-2/1-001.dcm "
        "MED_ABD_LYMPH_MASKS/MED_LYMPH_001/MED_LYMPH_001_mask.nii.gz "
        "MED_ABD_LYMPH_MASKS/ABD_LYMPH_001/ABD_LYMPH_001_mask.nii.gz",
        "chest",
        [
            (
                "med-ln-001",
                "CT_Lymph_Nodes/MED_LYMPH_001/09-14-1999-MED-1/300-thorax-2",
                "med-ln-001",
                {"lesion": "MED_ABD_LYMPH_MASKS/MED_LYMPH_001/MED_LYMPH_001_mask.nii.gz", "split": "train"},
            )
        ],
    ),
    "msd-liver": (
        "Task03_Liver/imagesTr/liver_0.nii.gz Task03_Liver/labelsTr/liver_0.nii.gz "
        "Task03_Liver/imagesTs/liver_132.nii.gz",
        "abdomen",
        [
            (
                "msd-liver-0",
                "Task03_Liver/imagesTr/liver_0.nii.gz",
                "msd-liver-0",
                {"lesion": "Task03_Liver/labelsTr/liver_0.nii.gz", "lesion_labels": "2", "split": "train"},
            )
        ],
    ),
    "abd-ln": (
        "CT_Lymph_Nodes/MED_LYMPH_001/09-14-1999-MED-1/300-thorax-2/1-001.dcm "
        "CT_Lymph_Nodes/ABD_LYMPH_001/09-14-1999-ABD-1/300-abdomen-2/1-001.dcm "
        "MED_ABD_LYMPH_MASKS/ABD_LYMPH_001/ABD_LYMPH_001_mask.nii.gz",
        "abdomen",
        [
            (
                "abd-ln-001",
                "CT_Lymph_Nodes/ABD_LYMPH_001/09-14-1999-ABD-1/300-abdomen-2",
                "abd-ln-001",
                {"lesion": "MED_ABD_LYMPH_MASKS/ABD_LYMPH_001/ABD_LYMPH_001_mask.nii.gz", "split": "train"},
            )
        ],
    ),
}
NO_CHEST = "dataset/metadata/no_chest_train.txt"


def tree(folder, files):
    """The folder, with empty files; CT-RATE's list of scans that show no chest in words."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def laid_out(folder, name):
    tree(folder, LAYOUTS[name][0].split())
    if name == "ct-rate":
        (folder / "dataset/metadata").mkdir()
        (folder / NO_CHEST).write_text("train_109_a_1.nii.gz\ntrain/train_7/train_7_a/train_7_a_1.nii.gz\n")
    return folder


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
