"""`meddiff-fm evaluate super-resolve --pairs`: lists of real pairs, the model's conditions, images made elsewhere."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.commands.evaluate.super_resolve import SlicePairOptions, _loaded
from MedDiffFMTraining.commands.option_groups import SharedOptions
from MedDiffFMTraining.evaluate.cases.anatomy_condition import AnatomyCondition
from MedDiffFMTraining.evaluate.cases.slice_pairs import thick_slices
from MedDiffFMTraining.evaluate.cases.volumes import axial_slab
from MedDiffFMTraining.evaluate.tasks.super_resolve import evaluate_super_resolution


@pytest.fixture
def run(run):
    """Of `evaluate super-resolve`."""
    return partial(run, "evaluate", "super-resolve")


@pytest.fixture(scope="module")
def real_pairs(tmp_path_factory, data):
    """Two real pairs of the repository's chest in a list, and what two methods made of them: the truth with all HU 36
    higher, and the truth, in a volume that reaches further.
    """
    folder = tmp_path_factory.mktemp("pairs")
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[30:62, 30:62, 40:66]
    whole = axial_slab(Volume.from_sitk(image))
    whole = whole.with_voxels(whole.voxels.astype(np.int16))
    for method in ("higher", "same"):
        (folder / method).mkdir()
    for name, first in (("one", 2), ("two", 5)):
        thin = Volume.from_sitk(whole.to_sitk()[:, :, first : first + 20])
        sitk.WriteImage(thin.to_sitk(), str(folder / f"{name}_thin.nii.gz"))
        sitk.WriteImage(thick_slices(thin, 4).to_sitk(), str(folder / f"{name}_thick.nii.gz"))
        higher = thin.with_voxels(thin.voxels + np.int16(36))
        sitk.WriteImage(higher.to_sitk(), str(folder / "higher" / f"{name}.nii.gz"))
        sitk.WriteImage(whole.to_sitk(), str(folder / "same" / f"{name}.nii.gz"))
    write_list(
        folder / "pairs.csv", *(f"{name}_thick.nii.gz,{name}_thin.nii.gz,chest,{name}," for name in ("one", "two"))
    )
    return folder


def write_list(path, *lines):
    path.write_text("\n".join(["thick,thin,region,name,anatomy", *lines]) + "\n", encoding="utf-8")


def test_a_list_of_real_pairs_has_a_mean_and_takes_other_methods(run, real_pairs, tmp_path):
    """36 HU in a window of 3600 are 40 dB, in every case and in the mean; what equals the truth is infinitely good,
    whatever it shows around the case's grid.
    """
    report, made = tmp_path / "r.json", [real_pairs / "higher", real_pairs / "same"]
    options = ("--qualities", "none", "--window", -2000, 1600, "--ends", 2, "--json", report)
    run("--pairs", real_pairs / "pairs.csv", *options, "--result", made[0], "--result", made[1])
    read = json.loads(report.read_text(encoding="utf-8"))
    assert [row["case"] for row in read["cases"]] == 5 * ["one"] + 5 * ["two"] and read["cases"][0]["real"]
    higher = [line for line in read["table"] if line["method"] == "higher"]
    assert [line["PSNR (dB)"] for line in higher] == pytest.approx([40, 40, 40], abs=1e-3)
    assert "window -2000 … 1600 HU" in higher[0]["group"] and higher[2]["group"] == "mean"
    assert all(row["psnr"] is None and row["ssim"] == 1 for row in read["cases"] if row["method"] == "same")
    assert read["window"] == [-2000, 1600]


def test_thick_slices_are_written_for_others(run, real_pairs, tmp_path):
    run("--pairs", real_pairs / "pairs.csv", "--write-inputs", tmp_path / "given")
    given = sitk.ReadImage(str(tmp_path / "given" / "thick" / "two.nii.gz"))
    own = sitk.ReadImage(str(real_pairs / "two_thick.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(given), sitk.GetArrayFromImage(own))
    assert given.GetSpacing() == pytest.approx(own.GetSpacing()) and given.GetOrigin() == pytest.approx(own.GetOrigin())


def test_the_model_is_told_the_anatomy_that_is_given(real_pairs, tmp_path, data, tiny_model_with_controls):
    """By a folder or by the list's own column, on the thick slices' grid; the task gets it, and refuses another's."""
    ct = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))
    organs = sitk.GetImageFromArray(np.full(ct.GetSize()[::-1], 1, np.uint8))  # all is aorta
    organs.CopyInformation(ct)
    (tmp_path / "maps").mkdir()
    sitk.WriteImage(organs, str(tmp_path / "maps" / "one_seg.nii.gz"))
    (tmp_path / "maps" / "one_seg.json").write_text(json.dumps({"1": "aorta"}), encoding="utf-8")
    one = f"{real_pairs / 'one_thick.nii.gz'},{real_pairs / 'one_thin.nii.gz'},chest,one,"
    write_list(tmp_path / "plain.csv", one)
    write_list(tmp_path / "listed.csv", one + str(tmp_path / "maps" / "one_seg.nii.gz"))
    ways = {"plain": AnatomyCondition(str(tmp_path / "maps")), "listed": AnatomyCondition()}
    for name, anatomy_option in ways.items():
        slices = SlicePairOptions(pairs=tmp_path / f"{name}.csv")
        (pair,) = _loaded(slices.cases(SharedOptions()), slices, anatomy_option)
        assert pair.anatomy.same_grid(pair.thick) and (pair.anatomy.voxels == 52).all()
    slices = SlicePairOptions(pairs=tmp_path / "plain.csv")
    assert next(_loaded(slices.cases(SharedOptions()), slices, AnatomyCondition())).anatomy == "auto"
    foreign = replace(pair, anatomy=replace(pair.anatomy, spacing=(1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match="is not on the CT's grid"):
        evaluate_super_resolution([foreign], ["fast"], tiny_model_with_controls, log=lambda line: None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--result", "pairs.csv"), r"pairs\.csv is not a folder"),
        (("--result", "."), r"has no one\.nii\.gz: call each image as its case, one"),
        (("--result", "higher", "--result", "higher"), "Two folders of --result are called higher"),
        (("--anatomy", "organs"), "--anatomy organs is not a file or folder"),
        (("--anatomy", "pairs.csv"), "is one label map, of 2 cases"),
        (("--anatomy", "."), "has no label map of one"),
        (("--window", 5, 5), "the lower HU first"),
        (("--cases", "x:chest"), "leave out --data, --cases"),
    ],
)
def test_what_does_not_fit_the_list_is_refused(run, real_pairs, monkeypatch, options, words):
    monkeypatch.chdir(real_pairs)
    with pytest.raises(InputError, match=words):
        run("--pairs", "pairs.csv", "--qualities", "none", *options)


def test_an_image_on_another_grid_is_refused(run, real_pairs, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("one", "two"):
        image = sitk.ReadImage(str(real_pairs / "higher" / f"{name}.nii.gz"))
        image.SetSpacing((1.4, 1.4, 1.5))
        sitk.WriteImage(image, str(tmp_path / "other" / f"{name}.nii.gz"))
    with pytest.raises(InputError, match=r"not on the grid of its case \(32 × 32 × 20 voxels of 1.5 × 1.5 × 1.5 mm\)"):
        run("--pairs", real_pairs / "pairs.csv", "--qualities", "none", "--result", tmp_path / "other")
