"""The layout of every data set's folder as its owners publish it, in small, and the manifest lines it must give."""

from __future__ import annotations

from pathlib import Path

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


def tree(folder: Path, files: list[str]) -> Path:
    """The folder, with empty files; CT-RATE's list of scans that show no chest in words."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def laid_out(folder: Path, name: str) -> Path:
    """The folder of a data set, with empty files."""
    tree(folder, LAYOUTS[name][0].split())
    if name == "ct-rate":
        (folder / "dataset/metadata").mkdir()
        (folder / NO_CHEST).write_text("train_109_a_1.nii.gz\ntrain/train_7/train_7_a/train_7_a_1.nii.gz\n")
    return folder
