"""The split for the nnU-Net that judges lesions is the ControlNet's own."""

import json

import pytest
import typer

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.commands import register

HEADER = "path,patient,region,anatomy,lesion,lesion_labels,split"
LINES = [
    "imagesTr/lung_001.nii.gz,p1,chest,none,labelsTr/lung_001.nii.gz,1,train",
    "imagesTr/lung_006.nii.gz,p2,chest,none,labelsTr/lung_006.nii.gz,1,validation",
    "imagesTr/lung_003_0000.nii.gz,p3,chest,none,labelsTr/lung_003.nii.gz,1,train",
    "imagesTr/lung_010.nii.gz,p4,chest,none,labelsTr/lung_010.nii.gz,1,test",
]


@pytest.fixture
def run(tmp_path, capsys):
    app = typer.Typer()
    register(app)

    def call(lines, name="splits_final.json"):
        (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        words = ["evaluate", "nnunet-split", str(tmp_path / "manifest.csv"), str(tmp_path / name)]
        app(args=words, standalone_mode=False)
        return capsys.readouterr().out, json.loads((tmp_path / name).read_text(encoding="utf-8"))

    return call


def test_one_fold_by_the_names_of_the_files_and_no_test_patient(run):
    printed, folds = run(LINES)
    assert folds == [{"train": ["lung_001", "lung_003"], "val": ["lung_006"]}]
    assert printed == "2 cases to train on, 1 to validate, 1 left out for the test\n"


@pytest.mark.parametrize(
    ("lines", "name", "words"),
    [
        ([LINES[0], LINES[3]], "splits_final.json", "no line in validation"),
        (
            [*LINES, "other/lung_001.nii.gz,p9,chest,none,x.nii.gz,1,train"],
            "splits_final.json",
            "Lines 2 and 6 are both",
        ),
        (LINES, "split.json", "reads its split from splits_final.json"),
        (LINES, "no/splits_final.json", "in a folder that exists"),
    ],
)
def test_a_split_that_nnunet_could_not_use_is_refused(run, tmp_path, lines, name, words):
    with pytest.raises(InputError, match=words):
        run(lines, name)
    assert not (tmp_path / name).exists()
