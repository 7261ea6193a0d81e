"""`meddiff-fm evaluate detect-anomalies`: cases worked out by hand, a model whose answer is known, the real command."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from exact_model import Prior, exact_model
from tiny_model import save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.folder import set_in_config
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.cases.anomalies import CaseSelection, find_cases
from MedDiffFMTraining.evaluate.cases.anomaly_case import AnomalyCase, Planting
from MedDiffFMTraining.evaluate.cases.volumes import axial_slab
from MedDiffFMTraining.evaluate.metrics.anomalies import auroc
from MedDiffFMTraining.evaluate.tasks.detect_anomalies import DetectSettings, evaluate_detection, from_median

LIVER = 5


@pytest.fixture(scope="module")
def planted() -> AnomalyCase:
    """A ball of 30 mm, 60 HU darker, in the liver of the repository's abdomen; its edge fades over 6 mm."""
    (case,) = find_cases(CaseSelection(plantings="abd_ts_example", blend_mm=6.0, place=3))
    return case


def test_what_is_planted_is_known_and_the_rest_is_untouched(planted, data):
    """At its core exactly 60 HU darker, at its surface 60·3/6 = 30 HU (voxels of 3 mm are 3 mm deep there)."""
    before = axial_slab(read_volume(data / "abd_ts_example.nii.gz")).voxels
    change = planted.volume.voxels - before
    assert not change[~planted.lesion].any() and change.min() == -60
    assert change[planted.lesion].max() == -30 and np.median(change[planted.lesion]) <= -30
    assert (planted.anatomy.voxels[planted.lesion] == LIVER).all() and not planted.volume.voxels.dtype.kind == "f"
    z, y, x = (np.ptp(axis) * 3 + 3 for axis in np.nonzero(planted.lesion))
    assert 21 <= min(z, y, x) and max(z, y, x) <= 33
    (elsewhere,) = find_cases(CaseSelection(plantings="abd_ts_example", place=4))
    assert not np.array_equal(elsewhere.lesion, planted.lesion)


def test_the_organ_counts_and_nothing_else(planted, data):
    liver = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "abd_ts_example_seg.nii.gz"))) == LIVER
    assert planted.counted.sum() == liver.sum() and (planted.counted & planted.lesion).sum() == planted.lesion.sum()


def test_the_baseline_is_the_distance_from_the_organs_median(planted):
    hu = planted.volume.voxels[planted.counted].clip(-120, 240).astype(float)
    far = np.abs(hu - np.median(hu))
    score = from_median(planted, 0.0, "either")
    assert np.allclose(score[planted.counted], far) and not score[~planted.counted].any()
    report = evaluate_detection([planted], log=lambda line: None)
    assert report.lines[0].values[1] == pytest.approx(auroc(far, planted.lesion[planted.counted]))
    darker = from_median(planted, 2.0, "darker")[planted.counted]
    assert np.allclose(darker, -from_median(planted, 2.0, "brighter")[planted.counted])


def test_a_model_that_expects_a_plain_liver_sees_what_the_smoothed_baseline_sees(planted):
    """Its x̃_0' is 100 HU throughout the liver, so its map is HU − 100, and from its median as far as HU from theirs."""
    own_grid = {"tasks": {"detect-anomalies": {"spacing_mm": None}}}
    model = exact_model(Prior({LIVER: 100.0}, (-120.0, 240.0), deviation_hu=0.05), patch=64, config=own_grid)
    settings = DetectSettings(noise_levels=(950,), draws=1, smoothing_mm=3.0)
    raw, smooth, made = evaluate_detection([planted], model, settings, log=lambda line: None).lines
    assert made.method == "model, t = 950" and made.values == pytest.approx(smooth.values, abs=2e-3)
    assert abs(raw.values[1] - smooth.values[1]) > 4e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    """Slices of the real chest with a "nodule" drawn into the heart's place, and an organ in the same mask."""
    folder = tmp_path_factory.mktemp("lesions")
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[:, :, 60:72]
    mask = np.zeros(image.GetSize()[::-1], np.uint8)
    mask[4:8, 60:66, 50:58], mask[4:8, 80:90, 50:58] = 1, 2
    seg = sitk.GetImageFromArray(mask)
    seg.CopyInformation(image)
    sitk.WriteImage(image, str(folder / "nodule.nii.gz"))
    sitk.WriteImage(seg, str(folder / "nodule_seg.nii.gz"))
    names = {"nodule": {"1": "lung_nodule", "2": "aorta"}}
    (folder / "labels.json").write_text(json.dumps(names), encoding="utf-8")
    return folder


def test_a_real_lesion_is_what_has_no_organs_name_and_counts_to_the_organ(folder):
    (case,) = find_cases(CaseSelection(folder, lesions="nodule:chest"))
    assert case.organ == "lungs" and case.lesion.sum() == 4 * 6 * 8 and case.planted is None
    assert case.counted[case.lesion].all() and case.counted.sum() > 1.5 * case.lesion.sum()
    assert case.volume.voxels[case.lesion].mean() > -200  # no lung by threshold
    image = sitk.DICOMOrient(sitk.ReadImage(str(folder / "nodule_seg.nii.gz")), "LPS")
    assert np.array_equal(case.lesion, sitk.GetArrayFromImage(image) == 1)


def test_without_names_every_label_is_lesion(folder, tmp_path):
    for name in ("nodule.nii.gz", "nodule_seg.nii.gz"):
        shutil.copy(folder / name, tmp_path / name)
    (case,) = find_cases(CaseSelection(tmp_path, lesions="nodule:chest"))
    assert case.lesion.sum() == 4 * 6 * 8 + 4 * 10 * 8


@pytest.fixture
def run(run):
    """Of `evaluate detect-anomalies`."""
    return partial(run, "evaluate", "detect-anomalies")


def test_the_command_measures_real_and_planted_lesions(run, folder, tmp_path):
    model, report, plot = save_tiny_model(tmp_path / "tiny"), tmp_path / "r.json", tmp_path / "r.png"
    set_in_config(model, "tasks", {"detect-anomalies": {"spacing_mm": None}})  # the scan's 1.5 mm: fewer windows
    cases = ("--data", folder, "--cases", "nodule:chest", "--plant", "nodule:chest", "--organ", "lungs")
    how = (
        "--t",
        "300,950",
        "--draws",
        1,
        "--box",
        "20:100,:,:",
        "--diameter",
        12,
        "--offset",
        200,
        "--model",
        model,
        "--device",
        "cpu",
    )
    printed = run(*cases, *how, "--json", report, "--plot", plot)
    read = json.loads(report.read_text(encoding="utf-8"))
    methods = ["|HU − median|", "|HU − median|, smoothed", "model, t = 300", "model, t = 950"]
    assert [row["method"] for row in read["cases"]] == 2 * methods
    assert [bool(row["planted"]) for row in read["cases"]] == 4 * [False] + 4 * [True]
    assert read["cases"][4]["planted"] == {"diameter_mm": 12.0, "offset_hu": 200.0, "blend_mm": 2.0, "seed": 0}
    assert read["settings"]["noise_levels"] == [300, 950] and read["settings"]["draws"] == 1
    assert [line["group"] for line in read["table"]][-4:] == 4 * ["mean"] and plot.is_file()
    assert "Table VI" in printed and "12 mm, +200 HU" in printed and "real lesion" in printed


def test_the_repositorys_cases_need_no_data(run, tmp_path):
    report = tmp_path / "r.json"
    run("--baselines-only", "--direction", "darker", "--json", report)
    read = json.loads(report.read_text(encoding="utf-8"))
    assert [row["case"] for row in read["cases"]] == ["abd_ts_example"] * 2 + ["chest_ts_aorta"] * 2
    assert [row["trained_on"] for row in read["cases"]] == [True, True, False, False] and read["model"] is None
    liver, _, lung, _ = read["cases"]  # the ball in the lung is brighter: sought as darker it is not found
    assert liver["pixel_auroc"] > 0.9 and lung["pixel_auroc"] < 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--t", "0"), "timesteps from 1 to 999"),
        (("--direction", "up"), "no direction 'up'"),
        (("--plant", "somebody"), "somebody:REGION"),
        (("--plant", "abd_ts_example", "--organ", "livre"), "no organ 'livre'"),
        (("--plant", "abd_ts_example", "--organ", "brain", "--baselines-only"), "no brain in the anatomy"),
        (("--plant", "abd_ts_example", "--diameter", 300, "--baselines-only"), "does not fit into the organ"),
        (("--cases", "abd_ts_example", "--box", "1,1,1", "--baselines-only"), "no lesion of abd_ts_example"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(run, options, words):
    with pytest.raises(InputError, match=words):
        run(*options)


def test_a_scan_that_was_turned_gives_the_same_case(folder, tmp_path):
    """The same scan and mask with their axes in another order."""
    for name in ("nodule.nii.gz", "nodule_seg.nii.gz"):
        turned = sitk.DICOMOrient(sitk.ReadImage(str(folder / name)), "SAR")
        sitk.WriteImage(turned, str(tmp_path / name))
    shutil.copy(folder / "labels.json", tmp_path)
    cases = [next(find_cases(CaseSelection(where, lesions="nodule:chest"))) for where in (folder, tmp_path)]
    assert np.array_equal(cases[0].volume.voxels, cases[1].volume.voxels)
    assert np.array_equal(cases[0].anatomy.voxels, cases[1].anatomy.voxels)
    assert isinstance(cases[1].volume, Volume) and Planting() == Planting(30.0, -60.0, 2.0, 0)
