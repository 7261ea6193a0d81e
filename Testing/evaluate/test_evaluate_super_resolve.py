"""`meddiff-fm evaluate super-resolve`: pairs and measures worked out by hand, the command on real CT."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("skimage", reason="scikit-image is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.cases import slice_pairs
from MedDiffFMTraining.evaluate.cases.box import cut_box, read_box
from MedDiffFMTraining.evaluate.cases.slice_pairs import SlicePair, real_pair, simulated_pair, thick_slices
from MedDiffFMTraining.evaluate.tasks.super_resolve import SlicesCounted, evaluate_super_resolution, measure


def ramp(slices, spacing=1.0, start=0.0):
    """16 × 16 pixels that rise by 10 HU a slice, from 0 HU at z = 0 mm; the first slice at `start` mm."""
    z = start + spacing * np.arange(slices)
    voxels = np.broadcast_to((10 * z)[:, None, None], (slices, 16, 16)).astype(np.float32)
    return Volume(voxels, (1.0, 1.0, spacing), (0.0, 0.0, start), source="ramp")


def test_the_first_and_last_slices_are_left_out_and_the_window_is_the_range():
    """A shift of 18 HU in the chest's window of 1800 is 40 dB; what is wrong in five slices at each end does not count.
    Block means are off by 1000 where those are wrong.
    """
    thin = np.zeros((20, 16, 16), np.float32)
    made = thin + 18
    made[:5] = made[-5:] = 1000
    pair = SlicePair("x", "chest", thick_slices(Volume(thin), 5), thin, 5)
    psnr, ssim, misfit = measure(pair, made, SlicesCounted())
    assert psnr == pytest.approx(40, abs=1e-3) and misfit == 1000
    a, b = 1400 / 1800, 1418 / 1800  # flat images: SSIM is its luminance term alone
    assert ssim == pytest.approx((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), abs=1e-5)
    with pytest.raises(InputError, match="too few slices to leave out 10"):
        measure(pair, made, SlicesCounted(10))


def test_interpolation_of_a_ramp_is_known():
    """A ramp is what linear and cubic interpolation make between the middles of thick slices; a thin slice is found as
    it was. Beyond the first middle linear interpolation repeats it: the means of the end slices are off by
    (20 + 10)/5 = 6 HU.
    """
    pair = simulated_pair("ramp", "abdomen", ramp(23), 5)
    assert pair.thick.voxels[:, 0, 0].tolist() == [20, 70, 120, 170] and len(pair.thin) == 20
    report = evaluate_super_resolution([pair], [], log=lambda line: None)
    linear, cubic, spline = report.lines
    assert linear.values[0] > 100 and linear.values[1] == pytest.approx(1) and linear.values[2] == pytest.approx(6)
    assert cubic.values[0] > 30 and spline.values[0] > 30 and spline.values[2] == pytest.approx(0, abs=1e-3)
    longer = simulated_pair("ramp", "abdomen", ramp(70, 0.3), 5)
    assert (
        evaluate_super_resolution([longer], [], counted=SlicesCounted(25), log=lambda line: None).lines[1].values[0]
        > 55
    )
    with pytest.raises(InputError, match="too few for two thick ones"):
        simulated_pair("ramp", "abdomen", ramp(9), 5)


def test_a_real_pair_is_compared_where_both_are():
    """Thick slices of 4 mm whose middles lie at 5.5, 9.5 and 13.5 mm split into thin ones at 4, 5, … 15 mm. The thin
    scan begins at 6 mm and ends at 13: the first two and the last two have no truth.
    """
    thick = replace(ramp(3, 4.0, 5.5), source="thick.nii.gz")
    pair = real_pair(thick, ramp(8, 1.0, 6.0), "chest")
    assert pair.factor == 4 and pair.known == (2, 10) and pair.real
    assert pair.thin[2:10, 0, 0].tolist() == [60, 70, 80, 90, 100, 110, 120, 130]
    made = ramp(12, 1.0, 4.0).voxels
    assert measure(pair, made, SlicesCounted(1)) == (np.inf, 1.0, 0.0)
    wrong = made.copy()
    wrong[[0, 1, 2, 9, 10, 11]] = 0
    assert measure(pair, wrong, SlicesCounted(1))[0] == np.inf and measure(pair, wrong, SlicesCounted(0))[0] < 40


@pytest.mark.parametrize(
    ("thin", "words"),
    [
        (ramp(8, 1.0, 6.4), "do not split"),
        (ramp(8, 1.3, 6.0), "do not split"),
        (ramp(8, 1.0, 60.0), "do not overlap"),
        (replace(ramp(8, 1.0, 6.0), spacing=(0.5, 0.5, 1.0)), "other pixels"),
        (replace(ramp(8, 1.0, 6.0), origin=(3.0, 0.0, 6.0)), "other pixels"),
    ],
)
def test_two_scans_that_are_no_pair_are_refused(thin, words):
    with pytest.raises(InputError, match=words):
        real_pair(ramp(3, 4.0, 5.5), thin, "chest")


def test_a_box_is_the_middle_or_from_to(chest):
    """12 × 126 × 120 voxels of 1.5 mm: the middle 20 of 120 begin at 50; rows 100 to 126; all slices."""
    part = cut_box(chest, read_box("20, 100:, :"))
    assert np.array_equal(part.voxels, chest.voxels[:, 100:, 50:70])
    lps = chest.to_sitk().TransformIndexToPhysicalPoint((50, 100, 0))
    assert part.origin == pytest.approx(lps) and cut_box(chest, None) is chest and read_box(None) is None
    assert cut_box(chest, read_box("500,0:7,3")).voxels.shape == (3, 7, 120)
    for text in ("1,2", "a,1,1", "5:5,1,1", "0,1,1", "-3,1,1"):
        with pytest.raises(InputError, match="--box cannot be"):
            read_box(text)
    with pytest.raises(InputError, match=r"lies outside of chest, which has 120 × 126 × 12 voxels"):
        cut_box(chest, read_box("120:130,:,:"))


def test_thick_slices_by_their_profile():
    """5 mm every 5 mm of 1 mm: weights 1 at 0, ±1, ±2 and ½ at ±3. A blank scan with 120 HU in slice 8: the second
    slice, about 7, gets 20 of it, the third, about 12, none; with 120 in slice 9 they get 20 and 10.
    """
    blank = np.zeros((20, 16, 16), np.float32)
    for lit, expected in ((8, [0, 20, 0, 0]), (9, [0, 20, 10, 0])):
        voxels = blank.copy()
        voxels[lit] = 120
        thick = thick_slices(Volume(voxels), 5, 5.0)
        assert thick.voxels[:, 0, 0].tolist() == expected and thick.spacing[2] == 5 and thick.origin[2] == 2
    pair = simulated_pair("chest_lungfcp01", "chest", Volume(voxels), 5, 5.0)
    assert measure(pair, voxels, SlicesCounted())[2] < 0.51 and pair.split.thickness == 1
    assert pair.thickness_text == "slices 5 mm thick, thin ones 2 mm thick"


def test_the_command_takes_a_thickness_and_plain_means_beside_it(run, tmp_path):
    model, report = save_tiny_model(tmp_path / "tiny"), tmp_path / "r.json"
    save_tiny_controls(model)
    options = ("--box", "40,40,40", "--qualities", "fast", "--model", model, "--device", "cpu", "--thickness", 7.5)
    printed = run(*options, "--plain-too", "--json", report)
    made, plain = json.loads(report.read_text(encoding="utf-8"))["cases"][3:]
    assert (made["method"], plain["method"]) == ("model, fast", "model, fast, as plain means")
    assert made["slice_thickness_mm"] == plain["slice_thickness_mm"] == 7.5
    assert made["block_mean_error_hu"] < 0.35 < 5 < plain["block_mean_error_hu"]
    assert "slices 7.5 mm thick, thin ones of unknown thickness" in printed


@pytest.fixture
def run(run):
    """Of `evaluate super-resolve`."""
    return partial(run, "evaluate", "super-resolve")


def test_the_command_measures_interpolation_and_the_model_on_real_ct(run, tmp_path):
    model, report, plot = save_tiny_model(tmp_path / "tiny"), tmp_path / "r.json", tmp_path / "r.png"
    save_tiny_controls(model)
    options = ("--box", "40,40,40", "--qualities", "fast", "--model", model, "--device", "cpu", "--seed", 3)
    printed = run(*options, "--json", report, "--plot", plot)
    read = json.loads(report.read_text(encoding="utf-8"))
    methods = ["linear", "cubic", "spline that keeps the means", "model, fast"]
    assert [row["method"] for row in read["cases"]] == methods
    assert (read["model"], read["seed"], read["end_slices"], read["box"]) == ("tiny", 3, 5, "40,40,40")
    linear, _, spline, made = read["cases"]
    assert made["case"] == "chest_ts_aorta" and not made["trained_on"] and made["factor"] == 5
    assert linear["psnr"] < spline["psnr"] and made["block_mean_error_hu"] <= 0.01 < linear["block_mean_error_hu"]
    assert "Table VII" in printed and "means of the thin ones" in printed and plot.is_file()
    assert made["slice_thickness_mm"] is None and "plain means of slices of unknown thickness" in printed


def test_the_command_takes_a_real_pair(run, tmp_path, data):
    """The repository's chest and means of its slices 3 to 22 as another reconstruction."""
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[30:60, 30:60, 40:66]
    thin = slice_pairs.axial_slab(Volume.from_sitk(image))
    whole = thin.with_voxels(thin.voxels.astype(np.int16))
    thick = thick_slices(Volume.from_sitk(whole.to_sitk()[:, :, 3:23]), 4)
    sitk.WriteImage(whole.to_sitk(), str(tmp_path / "thin.nii.gz"))
    sitk.WriteImage(thick.to_sitk(), str(tmp_path / "thick.nii.gz"))
    printed = run("--thick", tmp_path / "thick.nii.gz", "--thin", tmp_path / "thin.nii.gz", "--qualities", "none")
    again = simulated_pair("x", "chest", cut_box(thin, (":", ":", "3:23")), 4)
    spline = evaluate_super_resolution([again], [], log=lambda line: None).lines[2]
    assert f"{spline.values[0]:.2f}" in printed and "6 → 1.5 mm" in printed and "means of the thin" not in printed
    assert "slices of unknown thickness, thin ones of unknown thickness" in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--thick", "a.nii.gz"), "give both files"),
        (("--thick", "a.nii.gz", "--thin", "b.nii.gz", "--pairs", "c.csv"), "not both"),
        (("--thick", "a.nii.gz", "--thin", "b.nii.gz", "--region", "leg"), "no region 'leg'"),
        (("--qualities", "best"), "no quality 'best'"),
        (("--cases", "somebody"), "somebody:REGION"),
        (("--box", "3"), "--box cannot be"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_at_once(run, options, words):
    with pytest.raises(InputError, match=words):
        run(*options)
