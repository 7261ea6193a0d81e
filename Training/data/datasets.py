"""The data sets of the paper's Tables I and II: the layout of their folders, and the part of them that is used.

`dataset_lines` makes manifest lines of a folder by these descriptions; `datasets.md` says where each data set comes
from. Anatomy is TotalSegmentator's for all of them, as in the paper. BMAD has none: its slices are evaluated as they
are. To add a data set, add its description to `DATA_SETS`, a small folder of its layout with the lines it gives to
`Testing/training/test_datasets.py`, and its row to `datasets.md`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Images:
    """The places of a data set's CTs, by the ends of their paths, with `/` between folders.

    path          a regular expression; the further fields may use its named groups in braces
    case          its name within the data set
    patient       the patient's id within the data set; nothing: the case
    scan          what the reconstructions of one scan share: the first of them is taken; nothing: every CT is taken
    folders       whether a CT is a folder of DICOM files
    lesion, pair  the ends of the paths of its mask and of its second CT, which then must be there; or nothing
    split         as in a manifest
    """

    path: str
    case: str
    patient: str = ""
    scan: str = ""
    folders: bool = False
    lesion: str = ""
    pair: str = ""
    split: str = ""


@dataclass(frozen=True)
class DataSet:
    """A data set. cases: how many the paper counts; layout: where its CTs lie, in words.

    lesion_labels  which values of its masks are lesion, as in a manifest
    tested         the share of its patients that a seed draws for the split test, the others being for training and
                   (a tenth of them) for validation
    drawn          how many of its CTs a seed draws; 0: all are taken
    left_out       the name of its own list of CTs that do not show the region
    other_form     the end of a path (a regular expression) in a form that cannot be used, and why
    """

    name: str
    region: str
    cases: int
    layout: str
    images: tuple[Images, ...]
    lesion_labels: str = ""
    tested: float = 0.0
    drawn: int = 0
    left_out: str = ""
    other_form: tuple[str, str] | None = None


def _decathlon(name: str, task: str, organ: str, region: str, cases: int, label: str) -> DataSet:
    """A data set of the Medical Segmentation Decathlon: its training images and their labels."""
    path = rf"{task}/imagesTr/{organ}_(?P<number>\d+)\.nii\.gz"
    lesion = f"{task}/labelsTr/{organ}_{{number}}.nii.gz"
    layout = f"{task}/imagesTr/{organ}_NUMBER.nii.gz with masks of the same name in {task}/labelsTr"
    return DataSet(name, region, cases, layout, (Images(path, "{number}", lesion=lesion),), label, tested=0.2)


def _lymph_nodes(name: str, word: str, region: str, cases: int) -> DataSet:
    """A half of TCIA's CT Lymph Nodes. Its masks number the nodes, so that every value but 0 is lesion."""
    case = f"{word}_LYMPH_{{number}}"
    path = rf"{word}_LYMPH_(?P<number>\d{{3}})/[^/]+/[^/]+"
    layout = f"DICOM files in {word}_LYMPH_NNN/STUDY/SERIES and masks {word}_LYMPH_NNN/{word}_LYMPH_NNN_mask.nii.gz"
    images = Images(path, "{number}", folders=True, lesion=f"{case}/{case}_mask.nii.gz")
    return DataSet(name, region, cases, layout, (images,), tested=0.2)


_HEAD_NECK = (
    DataSet(
        "structseg",
        "head-neck",
        50,
        "HaN_OAR/NUMBER/data.nii.gz",
        (Images(r"HaN_OAR/(?:train/)?(?P<number>\d+)/data\.nii\.gz", "{number}"),),
    ),
    DataSet(
        "instance-2022",
        "head-neck",
        130,
        "train_2/data/NNN.nii.gz with masks of the same name in train_2/label, and evaluation/NNN.nii.gz",
        (
            Images(r"train_2/data/(?P<number>\d+)\.nii\.gz", "{number}", lesion="train_2/label/{number}.nii.gz"),
            Images(r"evaluation/(?P<number>\d+)\.nii\.gz", "evaluation-{number}"),
        ),
    ),
    DataSet(
        "han-seg",
        "head-neck",
        42,
        "set_1/case_NN/case_NN_IMG_CT.nrrd",
        (Images(r"set_1/case_(?P<number>\d+)/case_(?P=number)_IMG_CT\.nrrd", "{number}"),),
    ),
    DataSet(
        "segrap-2023",
        "head-neck",
        140,
        "segrap_NNNN/image.nii.gz and segrap_NNNN/image_contrast.nii.gz",
        (Images(r"segrap_(?P<number>\d{4})/(?P<kind>image|image_contrast)\.nii\.gz", "{number}-{kind}", "{number}"),),
    ),
)

_CHEST = (
    DataSet(
        "segthor",
        "chest",
        40,
        "Patient_NN/Patient_NN.nii.gz",
        (Images(r"Patient_(?P<number>\d+)/Patient_(?P=number)\.nii\.gz", "{number}"),),
    ),
    DataSet(
        "ct-rate",
        "chest",
        1000,
        "train_fixed/train_N/train_N_a/train_N_a_1.nii.gz",
        (
            Images(
                r"train_fixed/train_(?P<patient>\d+)/train_(?P=patient)_(?P<scan>[a-z]+)"
                r"/train_(?P=patient)_(?P=scan)_(?P<reconstruction>\d+)\.nii\.gz",
                "{patient}-{scan}-{reconstruction}",
                "{patient}",
                "{patient}-{scan}",
            ),
        ),
        drawn=1000,
        left_out="no_chest_train.txt",
        other_form=(
            r"train/train_\d+/train_\d+_[a-z]+/[^/]+\.nii\.gz",
            "the headers of its folder train lack spacing, direction and HU scale, so download train_fixed",
        ),
    ),
)

_ABDOMEN = (
    DataSet(
        "abdomenct-1k",
        "abdomen",
        1062,
        "Case_NNNNN_0000.nii.gz in AbdomenCT-1K-ImagePart1 to 3",
        (Images(r"Case_(?P<number>\d{5})_0000\.nii\.gz", "{number}"),),
    ),
    DataSet(
        "amos-2022",
        "abdomen",
        500,
        "imagesTr, imagesVa and imagesTs with amos_NNNN.nii.gz, of which ids to 0500 are CT",
        (Images(r"images(?:Tr|Va|Ts)/amos_(?P<number>0[0-4]\d\d|0500)\.nii\.gz", "{number}"),),
    ),
    DataSet(
        "btcv",
        "abdomen",
        30,
        "RawData/Training/img/imgNNNN.nii.gz",
        (Images(r"Training/img/img(?P<number>\d{4})\.nii\.gz", "{number}"),),
    ),
    DataSet(
        "chaos",
        "abdomen",
        20,
        "DICOM files in Train_Sets/CT/NUMBER/DICOM_anon",
        (Images(r"Train_Sets/CT/(?P<number>\d+)/DICOM_anon", "{number}", folders=True),),
    ),
    DataSet(
        "word",
        "abdomen",
        120,
        "imagesTr and imagesVal with word_NNNN.nii.gz",
        (Images(r"images(?:Tr|Val)/word_(?P<number>\d{4})\.nii\.gz", "{number}"),),
    ),
)

_WHOLE_BODY = (
    DataSet(
        "totalsegmentator",
        "auto",
        1228,
        "sNNNN/ct.nii.gz",
        (Images(r"s(?P<number>\d{4})/ct\.nii\.gz", "s{number}"),),
    ),
    DataSet(
        "autopet",
        "auto",
        1014,
        "FDG-PET-CT-Lesions/PETCT_ID/STUDY/CT.nii.gz",
        (Images(r"PETCT_(?P<patient>[0-9a-f]+)/(?P<study>[^/]+)/CT\.nii\.gz", "{patient}-{study}", "{patient}"),),
        other_form=(
            r"PETCT_[0-9a-f]+/.*\.dcm",
            "these are the DICOM series, so convert them to NIfTI with the scripts that the data set's page names",
        ),
    ),
)

_TASKS = (
    DataSet(
        "mayo-2016",
        "abdomen",
        10,
        "DICOM files in LNNN/full_1mm and LNNN/quarter_1mm, or in full_1mm/LNNN and quarter_1mm/LNNN",
        (
            Images(
                r"(?P<patient>L\d{3})/full_1mm",
                "{patient}",
                folders=True,
                pair="{patient}/quarter_1mm",
                split="test",
            ),
            Images(
                r"full_1mm/(?P<patient>L\d{3})",
                "{patient}",
                folders=True,
                pair="quarter_1mm/{patient}",
                split="test",
            ),
        ),
    ),
    DataSet(
        "rplhr-ct",
        "chest",
        250,
        "train, val and test, each with 1mm/NAME.nii.gz and 5mm/NAME.nii.gz",
        tuple(
            Images(
                rf"{folder}/1mm/(?P<file>[^/]+)\.nii\.gz",
                f"{folder}-{{file}}",
                pair=f"{folder}/5mm/{{file}}.nii.gz",
                split=split,
            )
            for folder, split in {"train": "train", "val": "validation", "test": "test"}.items()
        ),
    ),
    _decathlon("msd-lung", "Task06_Lung", "lung", "chest", 63, label="1"),
    _lymph_nodes("med-ln", "MED", "chest", 90),
    _decathlon("msd-liver", "Task03_Liver", "liver", "abdomen", 131, label="2"),
    _lymph_nodes("abd-ln", "ABD", "abdomen", 86),
)

DATA_SETS = {one.name: one for one in (*_HEAD_NECK, *_CHEST, *_ABDOMEN, *_WHOLE_BODY, *_TASKS)}
