"""`meddiff-fm evaluate denoise` and `meddiff-fm demo`: real CT, real command, a tiny model."""

import json
import re

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import save_file
from tiny_model import save_tiny_model

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")
pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")
pytest.importorskip("bm3d", reason="bm3d is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.data import low_dose
from MedDiffFMTraining.evaluate.baselines.classical import SETTINGS
from MedDiffFMTraining.evaluate.cases import volumes as cases
from MedDiffFMTraining.evaluate.metrics.psnr_ssim import ImageQuality, quality
from MedDiffFMTraining.evaluate.show import demo
from MedDiffFMTraining.evaluate.tasks.denoise_report import DenoisingResult, report_of
from MedDiffFMTraining.learn.red_cnn import RedCnn, RedCnnConfig, start_run

MODEL = ["model, fast", "model, fast, σ auto", "foundation model alone, fast"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model"))


@pytest.fixture(scope="module")
def small_ct(tmp_path_factory):
    """A folder with eight slices of the real chest, 60 × 60 pixels with heart, lung and bone."""
    folder = tmp_path_factory.mktemp("data")
    image = sitk.ReadImage(str(cases.TESTING_DATA / "chest_ts_aorta.nii.gz"))[30:90, 60:120, 70:78]
    sitk.WriteImage(image, str(folder / "chest_small.nii.gz"))
    return folder


def test_evaluate_measures_every_method_on_the_same_input(run, small_ct, model, tmp_path):
    report, cache, plot = tmp_path / "report.json", tmp_path / "cache", tmp_path / "report.png"
    options = ("--tools", "nlm,tv", "--qualities", "fast", "--model", model, "--cache", cache, "--device", "cpu")
    written = ("--json", report, "--plot", plot)
    printed = run("evaluate", "denoise", "--data", small_ct, "--cases", "chest_small:chest", *options, *written)
    result = json.loads(report.read_text(encoding="utf-8"))
    before, *rows = result["cases"]
    assert before["method"] == "input" and before["gain"] == {"psnr": 0, "ssim": 0}
    assert [row["method"] for row in rows] == ["non-local means", "total variation", *MODEL]
    assert [row["sigma_hu"] for row in rows[:3]] == [60, 60, 60] and rows[3]["sigma_hu"] != 60
    for row in rows:
        assert row["before"] == before["after"]
        assert row["gain"]["psnr"] == pytest.approx(row["after"]["psnr"] - row["before"]["psnr"])
    assert rows[0]["gain"]["psnr"] > 1 and result["classical_settings"] == SETTINGS and result["model"] == "tiny"
    nlm = result["table"][1]
    assert nlm["time / NLM"] == 1 and nlm["PSNR gain (dB)"] == rows[0]["gain"]["psnr"]
    assert "Table V" in printed and "Mayo 2016" in printed and re.search(r"MedDiff-FM\s*│\s*\+4\.19", printed)
    assert plot.read_bytes()[:4] == b"\x89PNG"

    # the input that was measured is the cached one, and it has the noise that was asked for
    (file,) = cache.iterdir()
    low, full = np.load(file), sitk.GetArrayFromImage(sitk.ReadImage(str(small_ct / "chest_small.nii.gz")))
    close = quality(low, full, body_mask(full), (-1400.0, 400.0))
    assert before["after"] == pytest.approx({"psnr": close.psnr, "ssim": close.ssim})


def test_a_trained_red_cnn_is_one_more_method(run, small_ct, tmp_path):
    """One whose weights are all zero gives the image back (see its own test), so it gains nothing."""
    trained, report = tmp_path / "red-cnn", tmp_path / "report.json"
    start_run(RedCnnConfig(filters=4), trained)
    zero = {name: torch.zeros_like(value) for name, value in RedCnn(4).state_dict().items()}
    save_file(zero, trained / "model.safetensors")
    options = ("--tools", "nlm", "--qualities", "", "--red-cnn", trained, "--json", report)
    run("evaluate", "denoise", "--data", small_ct, "--cases", "chest_small:chest", *options)
    _, row, _ = json.loads(report.read_text(encoding="utf-8"))["cases"]
    assert row["method"] == "RED-CNN" and row["gain"]["psnr"] == pytest.approx(0, abs=1e-3)


def test_what_was_simulated_is_used_again(small_ct, tmp_path):
    file = small_ct / "chest_small.nii.gz"
    first = cases.load_case(file, "chest", slices=2, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    np.save(kept, first.low.voxels + 1)
    again = cases.load_case(file, "chest", slices=2, cache=tmp_path)
    assert np.array_equal(again.low.voxels, first.low.voxels + 1)
    other = cases.load_case(file, "chest", slices=2, cache=tmp_path, dose=cases.Dose(seed=1))
    assert not np.allclose(other.low.voxels, again.low.voxels) and len(list(tmp_path.iterdir())) == 2


def test_another_simulation_is_not_taken_from_the_cache(small_ct, tmp_path, monkeypatch):
    """The version of the simulation is part of what the cache is asked for."""
    file = small_ct / "chest_small.nii.gz"
    for version, count in ((1, 1), (1, 1), (2, 2)):
        monkeypatch.setattr(low_dose, "VERSION", version)
        cases.load_case(file, "chest", slices=2, cache=tmp_path)
        assert len(list(tmp_path.iterdir())) == count


def test_the_slab_is_axial_and_central_in_any_orientation(chest):
    """The same scan with its axes in another order gives the same slab."""
    reference = cases.axial_slab(chest, 4)
    assert np.array_equal(reference.voxels, chest.voxels[4:8])
    turned = Volume.from_sitk(sitk.DICOMOrient(chest.to_sitk(), "SAR"))
    assert turned.voxels.shape != chest.voxels.shape
    assert np.array_equal(cases.axial_slab(turned, 4).voxels, reference.voxels)


def test_test_and_validation_patients_are_apart():
    assert not set(cases.TEST) & set(cases.VALIDATION)
    split = json.loads((cases.TESTING_DATA.parents[1] / "Training" / "data" / "split.json").read_text(encoding="utf-8"))
    assert set(cases.TEST) == set(split["test"]) and set(cases.VALIDATION) <= set(split["validation"])
    held_out = {name for names in split.values() for name in names}
    assert not cases.TRAINED_ON & held_out
    assert {name for name in cases.REPOSITORY if name not in held_out} <= cases.TRAINED_ON


def test_time_is_beside_non_local_means_on_the_same_case():
    def row(case, method, psnr, seconds):
        before = ImageQuality(30, 0.8)
        return DenoisingResult(case, "chest", False, method, 60, before, ImageQuality(30 + psnr, 0.9), seconds)

    rows = [row("a", "non-local means", 4, 30), row("a", "model, fast", 3, 15)]
    rows += [row("b", "non-local means", 2, 10), row("b", "model, fast", 6, 10)]
    nlm, model = report_of(rows).lines[-2:]
    assert (model.group, model.values[2:]) == ("mean", (4.5, pytest.approx(0.1), 0.75))
    assert (nlm.values[0], nlm.values[4]) == (33, 1)
    assert len(report_of(rows[1:2]).metrics) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cases", "somebody"), "somebody:REGION"),
        (("--cases", "x:chest"), "There is no x.nii.gz"),
        (("--tools", "median"), "no tool 'median'"),
        (("--qualities", "best"), "no quality 'best'"),
        (("--json", "no/such/folder/x.json"), "in a folder that exists"),
        (("--plot", "x.pdf"), "call it x.pdf.png"),
        (("--red-cnn", "nowhere", "--qualities", ""), "nowhere holds no RED-CNN"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_at_once(run, options, words):
    with pytest.raises(InputError, match=words):
        run("evaluate", "denoise", *options)


def test_pixels_must_be_square(small_ct, tmp_path):
    image = sitk.ReadImage(str(small_ct / "chest_small.nii.gz"))
    image.SetSpacing((1.0, 1.5, 1.5))
    sitk.WriteImage(image, str(tmp_path / "x.nii.gz"))
    with pytest.raises(InputError, match=r"square pixels.*1 × 1.5 mm"):
        cases.load_case(tmp_path / "x.nii.gz", "chest")


def test_demo_writes_volumes_and_a_picture_and_says_what_it_measured(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SLICES", 4)
    printed = run("demo", tmp_path / "out", "--model", model, "--device", "cpu")
    names = ["demo.png", "demo_denoised.nii.gz", "demo_full_dose.nii.gz", "demo_low_dose.nii.gz"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == names
    full, low, denoised = (sitk.ReadImage(str(tmp_path / "out" / f"demo_{name}.nii.gz")) for name in demo.NAMES)
    assert full.GetOrigin() == low.GetOrigin() == denoised.GetOrigin() and full.GetSize() == denoised.GetSize()
    hu, noisy = sitk.GetArrayFromImage(full), sitk.GetArrayFromImage(low)
    before = quality(noisy, hu, body_mask(hu), (-1400.0, 400.0))
    assert f"{before.psnr:.2f}" in printed and f"{before.ssim:.3f}" in printed


def test_demo_picture_is_in_radiological_orientation(tmp_path, monkeypatch):
    """A bright mark at the patient's left, anterior and superior lies right and at the top of its panels."""
    from matplotlib.axes import Axes

    shown = []
    original = Axes.imshow

    def imshow(self, image, **options):
        shown.append((image, options))
        return original(self, image, **options)

    monkeypatch.setattr(Axes, "imshow", imshow)
    voxels = np.full((8, 8, 8), -1000, np.int16)
    voxels[4, 1, 6] = voxels[6, 4, 6] = 300  # LPS: x to left, y to posterior, z to superior
    demo.draw(dict.fromkeys(demo.NAMES, Volume(voxels)), "tiny", tmp_path / "x.png")
    (axial, _), (coronal, options) = shown[:2]
    assert np.argwhere(axial == 300).tolist() == [[1, 6]]  # near the top, on the right
    assert np.argwhere(coronal == 300).tolist() == [[6, 6]] and options["origin"] == "lower"


def test_demo_without_the_projects_folder_takes_the_packages_own_ct(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "TESTING_DATA", tmp_path / "nowhere")
    run("demo", tmp_path / "out", "--model", model, "--device", "cpu")
    made = sitk.ReadImage(str(tmp_path / "out" / "demo_denoised.nii.gz"))
    assert made.GetSize() == (64, 64, 48) and (tmp_path / "out" / "demo.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "denoise"],
        ["evaluate", "super-resolve"],
        ["evaluate", "detect-anomalies"],
        ["evaluate", "synthesize"],
        ["evaluate", "generate-lesion"],
        ["evaluate", "inpaint-lesion"],
    ],
    ids=" ".join,
)
def test_evaluations_without_the_projects_folder_ask_for_data(run, tmp_path, monkeypatch, words):
    monkeypatch.setattr(cases, "TESTING_DATA", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"in the project's folder and not in the package: name a folder .* --data"):
        run(*words)


def test_the_other_simulator_measures_kernels_noises_and_seeds(run, small_ct, tmp_path):
    """Every noise by every kernel with every seed; the strength that was asked for, another noise in each."""
    report, cache = tmp_path / "report.json", tmp_path / "cache"
    options = ("--simulator", "fan", "--sigma", "30,60", "--kernels", "hann,ram-lak", "--seeds", 2, "--cache", cache)
    methods = ("--tools", "tv", "--qualities", "none", "--slices", 2, "--json", report)
    printed = run("evaluate", "denoise", "--data", small_ct, "--cases", "chest_small:chest", *options, *methods)
    result = json.loads(report.read_text(encoding="utf-8"))
    doses = [row["dose"] for row in result["cases"] if row["method"] == "input"]
    assert [(d["sigma_hu"], d["kernel"], d["seed"]) for d in doses] == [
        (sigma, kernel, seed) for sigma in (30, 60) for kernel in ("hann", "ram-lak") for seed in (0, 1)
    ]
    assert {d["simulator"] for d in doses} == {"fan"} and len(list(cache.iterdir())) == 8
    assert len(result["table"]) == 10 and len(result["intervals"]) == 4 and "60 HU, fan," in printed
    for line in result["table"]:
        if line["method"] != "input":
            assert line["95 % from"] <= line["PSNR gain (dB)"] <= line["95 % to"]
        elif line["group"] != "mean":
            assert line["ceiling (dB)"] > line["PSNR (dB)"]
    before = {row["dose"]["sigma_hu"]: row["after"]["psnr"] for row in result["cases"] if row["method"] == "input"}
    assert before[30.0] - before[60.0] == pytest.approx(6, abs=1.0)


def test_validation_is_named_by_one_word(tmp_path):
    """Patients of low noise that nothing was trained on; the one with 29 HU of its own chooses nothing."""
    from MedDiffFMTraining.commands.evaluate.denoise import simulated_cases
    from MedDiffFMTraining.commands.option_groups import SharedOptions

    for name in cases.DENOISING:
        (tmp_path / f"{name}.nii.gz").touch()
    found = simulated_cases(SharedOptions(data=tmp_path, cases="validation"))
    assert {case.name: case.region for case in found} == cases.DENOISING and "sarcoma_sts015" not in cases.DENOISING
    assert not any(map(cases.trained_on, cases.DENOISING)) and "sarcoma_sts015" in cases.VALIDATION
