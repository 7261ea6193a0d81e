"""What a reader had to choose is reported everywhere: report, provenance, log, worker and the table of a batch."""

import json
import logging

import pytest
import SimpleITK as sitk
from toy_task import ToyParameters, register

from MedDiffFMLib.batch.batch import Entry
from MedDiffFMLib.jobs import inputs as job_inputs
from MedDiffFMLib.jobs import provenance
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.parameters import CommonParameters
from MedDiffFMLib.volumes.io import read_labels, read_volume, resample_labels_to

SENTENCE = "ct.nrrd says two things about its grid; the first was taken."


@pytest.fixture
def files(tmp_path, data):
    """A CT whose reader has something to say, and a mask on another grid."""
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:60, 20:60, 40:70]
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(sitk.Cast(image > 100, sitk.sitkUInt8)[5:35, 5:35, 5:25], str(tmp_path / "mask.nrrd"))
    return {"input": tmp_path / "ct.nrrd", "lesion_mask": tmp_path / "mask.nrrd", "output": tmp_path / "out.nrrd"}


def test_a_warning_is_logged_once_where_it_is_found_and_stays_with_the_volume(files, caplog):
    with caplog.at_level(logging.WARNING, logger="MedDiffFMLib"):
        volume = read_volume(files["input"]).with_warning(SENTENCE)
    assert [record.getMessage() for record in caplog.records] == [f"Warning: {SENTENCE}"]
    assert volume.with_voxels(volume.voxels + 1).warnings == (SENTENCE,)
    mask = read_labels(files["lesion_mask"]).with_warning("mask.nrrd lost its header.")
    own, brought = resample_labels_to(mask, volume).warnings  # not the CT's
    assert own == "mask.nrrd lost its header." and "44.7 ml became 44.7 ml" in brought


def test_report_and_provenance_tell_each_warning_once(files, monkeypatch, tiny_model):
    register(monkeypatch)
    monkeypatch.setattr(job_inputs, "read_volume", lambda path: read_volume(path).with_warning(SENTENCE))
    monkeypatch.setattr(
        job_inputs, "read_lesion_mask", lambda path, like: read_labels(path, like).with_warning(SENTENCE)
    )
    report = run_job("toy", files, ToyParameters(), CommonParameters(), load=lambda *a, **k: tiny_model)
    assert report.warnings[0] == SENTENCE and "44.7 ml became 44.7 ml" in report.warnings[1] and not report.warnings[2:]
    record = json.loads(files["output"].with_suffix(".json").read_text(encoding="utf-8"))
    assert record["warnings"][0] == SENTENCE.replace("ct.nrrd", "the input")
    assert "mask.nrrd" in report.warnings[1] and "the lesion mask" in record["warnings"][1]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("/a/DOE_JANE.nii.gz has no names.", "the input has no names."),
        ("DOE_JANE.nii.gz has none (DOE_JANE.json beside it).", "the input has none (the input beside it)."),
        ("A mask of 3 ml in a.nii.gz, as a whole.", "A mask of 3 ml in the lesion mask, as a whole."),
        ("/b/DOE: no class is called x.", "the anatomy: no class is called x."),
        ("FREEDOE_JANE.nii.gz2 is another.", "FREEDOE_JANE.nii.gz2 is another."),
    ],
)
def test_provenance_tells_roles_in_place_of_names(sentence, expected):
    sources = {"input": "/a/DOE_JANE.nii.gz", "lesion mask": "/b/a.nii.gz", "anatomy": "/b/DOE"}
    assert provenance.without_names(sentence, sources) == expected


def test_a_batch_s_table_tells_it(tmp_path):
    entry = Entry("a", {})
    event = {"event": "result", "skipped": False, "summary": "Done", "seconds": 1.0, "files": {}}
    entry.end(event | {"warnings": [SENTENCE]}, tmp_path)
    assert entry.summary == f"Done; Warning: {SENTENCE}"
