"""`meddiff-fm evaluate denoise` on real pairs of low and full dose: values by hand, and what is refused."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")
pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")
pytest.importorskip("bm3d", reason="bm3d is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.evaluate.cases.anatomy_condition import AnatomyCondition
from MedDiffFMTraining.evaluate.cases.case_list import ListedCase
from MedDiffFMTraining.evaluate.cases.dose_pairs import read_dose_pair
from MedDiffFMTraining.evaluate.metrics.psnr_ssim import quality
from MedDiffFMTraining.evaluate.tasks.denoise import DenoisingMethods, evaluate_denoising


@pytest.fixture
def run(run):
    """Of `evaluate denoise`."""
    return partial(run, "evaluate", "denoise")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    """Two pairs of the repository's chest: the low dose with 8 HU more everywhere, and with noise of 40 HU; and the
    first one by a method that is 4 HU off.
    """
    folder = tmp_path_factory.mktemp("doses")
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[20:90, 40:110, 70:74]
    hu = sitk.GetArrayFromImage(image).astype(np.int16)
    noise = np.rint(np.random.default_rng(0).normal(0, 40, hu.shape)).astype(np.int16)
    (folder / "other").mkdir()
    named = {"one": hu, "one_low": hu + np.int16(8), "two": hu, "two_low": hu + noise, "other/one": hu + np.int16(4)}
    for name, voxels in (named | {"other/two": hu + np.int16(4)}).items():
        copy = sitk.GetImageFromArray(voxels)
        copy.CopyInformation(image)
        sitk.WriteImage(copy, str(folder / f"{name}.nii.gz"))
    lines = [f"{name}_low.nii.gz,{name}.nii.gz,chest,{name}" for name in ("one", "two")]
    (folder / "pairs.csv").write_text("\n".join(["low,full,region,name", *lines]) + "\n", encoding="utf-8")
    return folder


def test_real_pairs_are_measured_in_any_window_and_everywhere(run, folder, tmp_path):
    """8 HU in a window of 8000 are 60 dB, 4 are 66.02: a gain of 6.02 dB of the method, in the whole image."""
    report = tmp_path / "r.json"
    options = ("--tools", "none", "--qualities", "none", "--window", -4000, 4000, "--whole-image", "--json", report)
    printed = run("--pairs", folder / "pairs.csv", *options, "--result", folder / "other")
    read = json.loads(report.read_text(encoding="utf-8"))
    one, made, two, _ = read["cases"]
    assert one["after"]["psnr"] == pytest.approx(60, abs=1e-3) and one["real"] and made["method"] == "other"
    assert made["gain"]["psnr"] == pytest.approx(20 * np.log10(2), abs=1e-3) and made["sigma_hu"] is None
    assert two["sigma_hu"] > one["sigma_hu"] > 5 and two["sigma_hu"] > 35 and read["whole_image"] is True
    mean = [line for line in read["table"] if line["group"] == "mean" and line["method"] == "other"]
    gains = [row["gain"]["psnr"] for row in read["cases"] if row["method"] == "other"]
    assert mean[0]["PSNR gain (dB)"] == pytest.approx(np.mean(gains))
    assert "real low dose, measured everywhere" in printed and "simulated" not in printed


def test_what_methods_are_given_is_written_for_others(run, folder, tmp_path):
    """The low doses by the cases' names, whole; a method that does nothing to them gains nothing."""
    named = ("--pairs", folder / "pairs.csv", "--tools", "none", "--qualities", "none")
    printed = run(*named, "--write-inputs", tmp_path / "given")
    assert "the inputs of 2 cases" in printed and "Table V" not in printed
    assert sorted(file.name for file in (tmp_path / "given" / "low").iterdir()) == ["one.nii.gz", "two.nii.gz"]
    given, own = (sitk.ReadImage(str(file)) for file in (tmp_path / "given/low/two.nii.gz", folder / "two_low.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(own, "LPS")), sitk.GetArrayFromImage(given))
    run(*named, "--result", tmp_path / "given" / "low", "--json", tmp_path / "r.json")
    rows = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"]
    assert [row["gain"] for row in rows if row["method"] == "low"] == 2 * [{"psnr": 0.0, "ssim": 0.0}]
    with pytest.raises(InputError, match="is not an empty folder"):
        run(*named, "--write-inputs", tmp_path / "given")
    with pytest.raises(InputError, match="does not exist: create it first"):
        run(*named, "--write-inputs", tmp_path / "no" / "given")
    (folder / "broken.csv").write_text("low,full,region\none_low.nii.gz,one.nii.gz,chest\ntwo.nii.gz,pairs.csv,chest\n")
    with pytest.raises(InputError):
        run("--pairs", folder / "broken.csv", "--write-inputs", tmp_path / "other")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["given", "r.json"]


def test_the_body_is_counted_unless_all_is_wanted(run, folder, tmp_path):
    report = tmp_path / "r.json"
    pair = ("--low", folder / "two_low.nii.gz", "--full", folder / "two.nii.gz", "--region", "chest", "--sigma", 30)
    run(*pair, "--tools", "none", "--qualities", "none", "--json", report)
    (row,) = json.loads(report.read_text(encoding="utf-8"))["cases"]
    low, full = (sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{n}.nii.gz"))) for n in ("two_low", "two"))
    expected = quality(low, full, body_mask(full), (-1400.0, 400.0))
    assert row["after"] == pytest.approx({"psnr": expected.psnr, "ssim": expected.ssim})
    assert (row["case"], row["sigma_hu"]) == ("two_low", 30)


def test_methods_get_the_real_noise_and_the_anatomy(folder, tiny_model):
    """Classical tools and the model, which measures nothing again; what it is given is on the low dose's grid."""
    line = ListedCase("two", "chest", {"low": folder / "two_low.nii.gz", "full": folder / "two.nii.gz"})
    pair = read_dose_pair(line, AnatomyCondition("threshold"), 2, 35.0)
    assert (pair.anatomy, pair.sigma_hu, pair.real, len(pair.low.voxels)) == ("threshold", 35.0, True, 2)
    report = evaluate_denoising([pair], DenoisingMethods(["nlm"]), log=lambda line: None)
    assert [row["sigma_hu"] for row in report.cases] == [35, 35] and report.cases[1]["gain"]["psnr"] > 0.3
    wrong = pair.low.with_voxels(np.full(pair.low.voxels.shape, 200, np.uint8))
    with pytest.raises(InputError, match="holds labels from 200 to 200"):
        methods = DenoisingMethods(qualities=["fast"], model=tiny_model)
        evaluate_denoising([replace(pair, anatomy=wrong)], methods, log=lambda line: None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--low", "a.nii.gz"), "give both files"),
        (("--low", "a.nii.gz", "--full", "b.nii.gz", "--pairs", "c.csv"), "not both"),
        (("--low", "a.nii.gz", "--full", "b.nii.gz"), "a.nii.gz does not exist"),
        (("--pairs", "pairs.csv", "--data", "."), "leave out --data"),
        (("--sigma", "loud"), "--sigma cannot be 'loud': give HU"),
        (("--sigma", "8,-1"), "--sigma cannot be '8,-1': give HU"),
        (("--pairs", "pairs.csv", "--sigma", "20,30"), "give one number of HU"),
        (("--pairs", "pairs.csv", "--seeds", 3), "Nothing is simulated for real pairs"),
        (("--simulator", "cone"), "no simulator 'cone'; use parallel, fan"),
        (("--kernels", "hann,bone"), "no kernel 'bone'; use hann, shepp-logan, ram-lak"),
        (("--sigma", "8,12", "--write-inputs", "inputs"), "one image of each case"),
        (("--window", 240, -160), "the lower HU first"),
        (("--low", "one_low.nii.gz", "--full", "one.nii.gz", "--region", "leg"), "no region 'leg'"),
        (("--low", "one_low.nii.gz", "--full", "cut.nii.gz"), "are not on one grid"),
        (("--pairs", "pairs.csv", "--result", "pairs"), "is not a folder"),
    ],
)
def test_what_is_no_pair_is_refused(run, folder, monkeypatch, options, words):
    monkeypatch.chdir(folder)
    sitk.WriteImage(sitk.ReadImage("one.nii.gz")[:60], "cut.nii.gz")
    with pytest.raises(InputError, match=words):
        run(*options, "--tools", "none", "--qualities", "none")
