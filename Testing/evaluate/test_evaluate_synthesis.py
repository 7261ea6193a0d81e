"""`meddiff-fm evaluate synthesize`, `generate-lesion` and `inpaint-lesion`: real CT, real commands, tiny models."""

import itertools
import json
import shutil
import weakref

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from exact_model import Prior, exact_model
from scipy import ndimage
from tiny_model import TINY, make_tiny_network, save_tiny_controls, save_tiny_model
from whole_body import whole_body

pytest.importorskip("medmetric", reason="medmetric is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMLib.anatomy.segmenter import choose_mode, is_installed
from MedDiffFMLib.anatomy.tissue import BodyImage, find_tissue
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.controlnet_folder import save_controlnet
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig
from MedDiffFMLib.volumes.io import write_volume
from MedDiffFMTraining.commands.evaluate.lesion_runs import _real_lesions
from MedDiffFMTraining.commands.evaluate.synthesize import choose_segmenter
from MedDiffFMTraining.commands.option_groups import KeptLesions, SharedOptions
from MedDiffFMTraining.evaluate.cases import volumes as cases
from MedDiffFMTraining.evaluate.cases.lesions import places, read_diameters, region_of_kind
from MedDiffFMTraining.evaluate.cases.synthesis import PairOptions, load_pair, load_pairs
from MedDiffFMTraining.evaluate.tasks.synthesize import PAINTED, ImageMetrics, compare, kernel_of, measure


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_controls(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model", patch=16))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two parts of the real chest: one to draw into, and one whose dark lung has a "lesion", named as such."""
    folder = tmp_path_factory.mktemp("data")
    image = sitk.ReadImage(str(cases.TESTING_DATA / "chest_ts_aorta.nii.gz"))[0:100, 10:110, 60:100]
    sitk.WriteImage(image, str(folder / "healthy.nii.gz"))
    hu = sitk.GetArrayFromImage(image)
    lung = find_tissue(BodyImage(hu, image.GetSpacing()[::-1])) == 119
    lung[:, :12] = lung[:, -12:] = lung[..., :12] = lung[..., -12:] = False  # not at the border
    room = ndimage.distance_transform_edt(np.pad(lung & (hu < -500), 1))[1:-1, 1:-1, 1:-1]
    away = [i - c for i, c in zip(np.indices(hu.shape), np.unravel_index(room.argmax(), hu.shape), strict=True)]
    ball = (sum(d**2 for d in away) < 16).astype(np.uint8)
    for array, name in ((np.where(ball, 30, hu).astype(np.int16), "sick"), (2 * ball, "sick_seg")):
        copy = sitk.GetImageFromArray(array)
        copy.CopyInformation(image)
        sitk.WriteImage(copy, str(folder / f"{name}.nii.gz"))
    (folder / "labels.json").write_text(json.dumps({"sick": {"1": "lung_left", "2": "lung_tumor_gtv"}}))
    return folder


@pytest.fixture
def run(run):
    """Of which the output comes with single spaces."""
    return lambda *arguments: " ".join(run(*arguments).split())


def test_a_model_that_knows_the_anatomy_is_found_good():
    """A model whose every label is N(the real median, 5 HU): medians agree, and tissues lie where they lie."""
    pair = load_pair(cases.TESTING_DATA / "chest_ts_aorta.nii.gz", "chest", PairOptions(6.0, 180))
    assert pair.ct.spacing == (6.0, 6.0, 6.0) and pair.ct.size_mm[2] == 180 and "given organs" in pair.made_by
    numbers = np.unique(pair.labels.voxels)
    medians = {int(n): float(np.median(pair.ct.voxels[pair.labels.voxels == n])) for n in numbers if n}
    knowing = exact_model(Prior(medians, pair.window), patch=32)
    ignorant = exact_model(Prior({}, pair.window, other=-100.0), patch=32)
    metrics = ImageMetrics(None)
    settings = {"levels": "image,patch", "steps": 6}
    (good, paint), (bad, _) = (compare([pair], [m], metrics, **settings) for m in (knowing, ignorant))
    assert (good.method, paint.method) == ("exact", PAINTED)
    assert good.values["hu_error"] == pytest.approx(paint.values["hu_error"], abs=10)
    assert bad.values["hu_error"] > good.values["hu_error"] + 100
    assert good.values["dice_of"]["lung and gas"] > 0.9 and bad.values["dice_of"]["lung and gas"] < 0.1
    assert good.values["dice"] == pytest.approx(paint.values["dice"], abs=0.1)
    assert good.values["in_range"] > 0.5 and "lung" not in good.values["out_of_real_range"]  # medians of real patients
    assert "heart" in bad.values["out_of_real_range"] and bad.values["in_range"] == 0  # −100 HU in every organ
    assert good.values["ms_ssim"] is None and good.values["lpips"] is None

    without = np.where(pair.organs == 52, 118, pair.organs)  # a segmenter that finds all organs but the aorta
    seen = measure(pair, pair.ct.voxels, "real", ImageMetrics(None, segment=lambda ct: without))
    assert seen.values["dice_of"] == {"lungs": 1, "heart": 1, "aorta": 0} and seen.values["hu_error"] == 0


def test_the_model_can_be_told_less_than_it_is_held_against():
    file = cases.TESTING_DATA / "chest_ts_aorta.nii.gz"
    conditioned, unconditioned = (
        load_pair(file, "chest", PairOptions(6.0, 60, condition_on_organs=tell)) for tell in (True, False)
    )
    assert 52 in conditioned.labels.voxels and np.array_equal(conditioned.labels.voxels, conditioned.organs)
    assert 52 not in unconditioned.labels.voxels and np.array_equal(unconditioned.organs, conditioned.organs)
    assert unconditioned.made_by == "thresholds" and np.array_equal(unconditioned.body, conditioned.body)


@pytest.mark.skipif(is_installed(), reason="TotalSegmentator is installed")
def test_a_segmenter_that_is_not_there_is_said(run):
    with pytest.raises(InputError, match="TotalSegmentator is not installed"):
        run("evaluate", "synthesize", "--segmenter", "totalsegmentator")


def test_the_segmenter_computes_where_the_model_does(segmenter_installed):
    """On a GPU at 1.5 mm, as `train prepare` and the conditions of training, without one at 3 mm."""
    segmenter_installed("Dataset297_x", *(f"Dataset{n}_x" for n in range(291, 296)))
    gpu, cpu = torch.device("cuda:0"), torch.device("cpu")
    for device, mode in ((gpu, "total"), (cpu, "total_fast"), (None, "total_fast")):
        segment = choose_segmenter("totalsegmentator", device)
        assert segment.keywords == {"device": device} and choose_mode(segment.keywords["device"]) == mode


def test_organs_that_are_missing_are_found(segmenter_installed, folder, monkeypatch):
    """The stand-in calls soft tissue liver; a line's `none` wants no organs, a label map goes before."""
    segmenter_installed("Dataset297_x")
    options = PairOptions(4.0, segment=choose_segmenter("auto"))
    pair = load_pair(folder / "healthy.nii.gz", "chest", options)
    assert 5 in pair.labels.voxels and pair.made_by.startswith("totalsegmentator (3 mm) organs")
    assert 5 not in load_pair(folder / "healthy.nii.gz", "chest", options, "none").labels.voxels
    with pytest.raises(InputError, match="choose --segmenter totalsegmentator"):
        load_pair(folder / "healthy.nii.gz", "chest", PairOptions(4.0), "auto")


def test_synthesize_makes_the_papers_table(run, folder, model, tmp_path):
    options = ("--quality", "fast", "--steps", "1", "--spacing", "0", "--slab", "16.5", "--segmenter", "tissue")
    named = ("--data", folder, "--cases", "healthy:chest", "--model", model, "--device", "cpu")
    printed = run(
        "evaluate", "synthesize", *named, *options, "--json", tmp_path / "r.json", "--plot", tmp_path / "r.png"
    )
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert result["task"] == "synthesize" and result["model"] == "tiny" and result["slab_mm"] == 16.5
    own, painted = result["table"]
    assert own["group"] == painted["group"] == "chest" and painted["method"] == PAINTED
    assert own["MS-SSIM"] is None and own["LPIPS"] > painted["LPIPS"] > 0 and own["FID"] > 0 and own["MMD"] >= 0
    assert 0 < own["Dice"] < painted["Dice"] < 1
    case = result["cases"][0]
    assert case["size"] == [100, 100, 11] and case["median_hu_of"]["lung"]["real"] < -700 and not case["trained_on"]
    assert "Table IV" in printed and "tiny's own encoder" in printed and "not of TotalSegmentator's" in printed
    assert "MS-SSIM: not measured" in printed and (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"


def test_synthesize_takes_a_list_and_tells_its_organs(run, model, tmp_path, data):
    """A manifest's line with the region auto is a case for each region, with the organs that the line names."""
    scan, organs = whole_body(data)
    for volume, name in ((scan, "body"), (scan.with_voxels(organs), "organs")):
        write_volume(volume, tmp_path / f"{name}.nii.gz")
    lines = ["path,patient,region,anatomy,split,name", "body.nii.gz,p1,auto,organs.nii.gz,test,one"]
    (tmp_path / "list.csv").write_text("\n".join([*lines, "body.nii.gz,p1,auto,organs.nii.gz,train,two"]) + "\n")
    options = ("--quality", "fast", "--steps", "1", "--spacing", "0", "--segmenter", "tissue", "--features", "none")
    named = ("--list", tmp_path / "list.csv", "--model", model, "--device", "cpu")
    run("evaluate", "synthesize", *named, *options, "--json", tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    regions = {"one-abdomen": "abdomen", "one-chest": "chest", "one-head-neck": "head-neck"}
    assert {case["case"]: case["region"] for case in result["cases"]} == regions
    assert "small_bowel" in result["cases"][0]["median_hu_of"] and "given organs" in result["cases"][0]["labels"]
    assert [line["group"] for line in result["table"]][::2] == [*regions.values(), "overall"]
    with pytest.raises(InputError, match="--list names all cases"):
        run("evaluate", "synthesize", *named, "--cases", "x:chest")


def test_a_ct_made_elsewhere_is_measured_on_the_same_grid(folder, tmp_path):
    """The real CT itself, on its own finer grid, is found to be the real CT; half of it is refused."""
    (pair,) = load_pairs(folder / "healthy.nii.gz", "chest", PairOptions(3.0))
    image = sitk.ReadImage(str(folder / "healthy.nii.gz"))
    for name, part in (("maisi", image), ("half", image[:, :, :20])):
        (tmp_path / name).mkdir()
        sitk.WriteImage(part, str(tmp_path / name / "healthy.nii.gz"))
    _, row = compare([pair], [], ImageMetrics(None), [tmp_path / "maisi"])
    assert row.method == "maisi" and row.values["hu_error"] < 2 and row.values["dice"] > 0.95
    with pytest.raises(InputError, match=r"shows only 5\d% of its case"):
        compare([pair], [], ImageMetrics(None), [tmp_path / "half"])


def test_one_case_is_in_memory_at_a_time(folder):
    """Of those before only numbers are left; the kernel of MS-SSIM is the one that fits the smallest, as it was when
    all were known beforehand.
    """
    seen = []

    def pairs():
        for spacing in (1.5, 1.0):
            assert not any(pair() for pair in seen), "an earlier case is still held"
            options = PairOptions(spacing, slab_mm=55)
            (pair,) = load_pairs(folder / "healthy.nii.gz", "chest", options, name=f"{spacing}")
            seen.append(weakref.ref(pair))
            yield pair
            del pair

    rows = compare(pairs(), [], ImageMetrics(Means()))
    assert [row.case for row in rows] == ["1.5", "1.0"] and kernel_of(rows) is None  # 37 slices are too few for 3
    assert [list(row.values["ms_ssim_by_kernel"]) for row in rows] == [[], [3]]
    assert [row.values["ms_ssim"] for row in rows] == [None, None] and rows[0].features[0].shape == (1, 1)
    (large,) = compare(load_pairs(folder / "healthy.nii.gz", "chest", PairOptions(1.0)), [], ImageMetrics(None))
    assert large.values["ms_ssim"] == large.values["ms_ssim_by_kernel"][3] > 0.2


class Means:
    """Features of one channel: the mean of an image."""

    note = name = "means"

    def maps(self, image, region):
        return [torch.tensor(float(image.mean())).view(1, 1, 1, 1, 1)]


def test_lesions_are_drawn_kept_and_joined_by_an_nnunets_dice(run, folder, model, tmp_path):
    keep, found, report = tmp_path / "raw", tmp_path / "found", tmp_path / "r.json"
    named = ("--data", folder, "--cases", "healthy:chest", "--real-cases", "sick", "--model", model, "--device", "cpu")
    draw = ("--diameters", "12", "--steps", "2", "--keep", keep, "--real", "--json", report)
    printed = run("evaluate", "inpaint-lesion", *named, *draw)
    result = json.loads(report.read_text(encoding="utf-8"))
    real, before, own = result["table"]
    assert [line["method"] for line in result["table"]] == ["real", "the same place, before", "tiny"]
    assert 0 < real["HU mean"] < 40 and before["HU mean"] < -600 and real["half-way Dice"] > 0.9
    assert own["two seeds, HU"] > 0 and own["Dice"] is None
    assert [c["changed_outside"] for c in result["cases"] if c["method"] == "tiny"] == [0, 0]
    assert "masks that differ from the CT: 0." in printed and "not measured: --keep" in printed
    names = sorted(file.name for file in (keep / "labelsTs").iterdir())
    assert names == ["drawn_healthy_12mm_seed0.nii.gz", "drawn_healthy_12mm_seed1.nii.gz", "real_sick.nii.gz"]

    shutil.copytree(keep / "labelsTs", found)  # an nnU-Net that finds everything, but nothing in one of the drawn
    mask = sitk.ReadImage(str(found / names[1]))
    sitk.WriteImage(mask * 0, str(found / names[1]))
    run("evaluate", "inpaint-lesion", "--keep", keep, "--segmentations", found, "--json", report)
    again = json.loads(report.read_text(encoding="utf-8"))
    assert [line["Dice"] for line in again["table"]] == [1.0, None, 0.5]
    assert again["table"][2]["HU mean"] == own["HU mean"] and again["model"] == "tiny"
    with pytest.raises(InputError, match="holds the images of inpaint-lesion"):
        run("evaluate", "generate-lesion", "--keep", keep, "--segmentations", found)


def test_generation_is_held_against_the_real_ct_and_its_own_twin(run, folder, model, tmp_path):
    named = ("--data", folder, "--cases", "healthy:chest", "--real-cases", "sick", "--model", model, "--device", "cpu")
    options = ("--diameters", "14", "--quality", "fast", "--steps", "2", "--spacing", "3")
    printed = run("evaluate", "generate-lesion", *named, *options, "--json", tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [line["method"] for line in result["table"]] == ["real", "tiny"]
    drawn = [case for case in result["cases"] if case["method"] == "tiny"]
    assert [case["case"] for case in drawn] == ["healthy_14mm", "sick_own_mask"]
    assert all(case["changed_outside"] == 0 and case["mean_change"] > 0 and case["lpips"] > 0 for case in drawn)
    assert result["table"][1]["FID"] > 0 and "Table VIII" in printed


def test_in_quality_paper_the_twin_takes_as_many_steps_as_the_lesion(run, folder, tmp_path):
    """A ControlNet that was not trained changes nothing: then CT and twin are one, if both take the steps asked for."""
    model, control = save_tiny_model(tmp_path / "new", patch=16), ControlNet(TINY, ControlNetConfig(kind="lesion-mask"))
    control.start_from(make_tiny_network())
    save_controlnet(model, "lesion-lung", control)
    named = ("--data", folder, "--cases", "healthy:chest", "--real-cases", "none", "--model", model, "--device", "cpu")
    options = ("--diameters", "14", "--quality", "paper", "--steps", "2", "--spacing", "4", "--features", "none")
    run("evaluate", "generate-lesion", *named, *options, "--json", tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (drawn,) = [case for case in result["cases"] if case["method"] == "tiny"]
    assert result["steps"] == 2 and drawn["mean_change"] == drawn["changed_outside"] == 0


def test_lesions_come_into_lung_that_is_free(folder):
    pair = load_pair(folder / "healthy.nii.gz", "chest", PairOptions())
    (place,) = places(pair, "lung", (12, 90), seed=1)  # nothing of 90 mm fits
    assert place.name == "healthy_12mm" and pair.ct.voxels[place.lesion].mean() < -600
    assert np.isin(pair.labels.voxels[place.lesion], (119,)).all() and not list(places(pair, "liver", (12,), 1))
    assert not list(places(pair, "med-ln", (), 1))
    with pytest.raises(InputError, match=r"'med-ln' have no organ .* --diameters none"):
        list(places(pair, "med-ln", (12,), 1))


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("synthesize", ("--quality", "best"), "no quality 'best'"),
        ("synthesize", ("--spacing", "0.1"), "too fine"),
        ("synthesize", ("--segmenter", "eye"), "no segmenter 'eye'"),
        ("synthesize", ("--anatomy", "none"), "no anatomy 'none'"),
        ("synthesize", ("--features", "other.pth"), "no file other.pth"),
        ("inpaint-lesion", ("--diameters", "2,x"), "from 5 to 100"),
        (
            "inpaint-lesion",
            ("--kind", "med-ln"),
            "no organ that an ellipsoid could be placed in: give --diameters none",
        ),
        ("inpaint-lesion", ("--kind", "nails", "--diameters", "none"), "no healthy CT and no real lesion"),
        ("inpaint-lesion", ("--lesion-labels", "2"), "which is missing"),
        ("generate-lesion", ("--store", "x"), "name it with --list"),
        ("inpaint-lesion", ("--segmentations", "."), "name their folder with --keep"),
        ("generate-lesion", ("--segmentations", ".", "--keep", "nowhere"), "make the images first"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(run, task, options, words):
    with pytest.raises(InputError, match=words):
        run("evaluate", task, *options)


def test_diameters():
    assert read_diameters("12,20.5") == [12, 20.5] and read_diameters("none") == []


@pytest.mark.parametrize(("kind", "region"), [("lung", "chest"), ("med-ln", "chest"), ("abd-ln", "abdomen")])
def test_a_kind_of_lesion_has_its_region(folder, kind, region):
    """Mediastinal lymph nodes lie in the chest, whose window shows lungs; what no one knows is asked for."""
    (lesion,) = _real_lesions(SharedOptions(data=folder), kind, KeptLesions(real_cases="sick"))
    assert lesion.region == region and region_of_kind(kind) == region
    (named,) = _real_lesions(SharedOptions(data=folder), kind, KeptLesions(real_cases="sick:abdomen"))
    assert named.region == "abdomen"
    with pytest.raises(InputError, match="'sick' is not known; write sick:REGION"):
        _real_lesions(SharedOptions(data=folder), "nails", KeptLesions(real_cases="sick"))


def test_real_masks_of_a_list_are_drawn_over_without_ellipsoids(run, folder, model, tmp_path):
    """Label 2 of the mask is the lesion, 1 the lung; the place before is the real lesion, which is measured once."""
    table = tmp_path / "list.csv"
    line = f"{folder / 'sick.nii.gz'},{folder / 'sick_seg.nii.gz'},2,chest,msd_1,none"
    table.write_text(f"ct,lesion,lesion_labels,region,name,anatomy\n{line}\n", encoding="utf-8")
    made = ("--kind", "lung", "--list", table, "--steps", "2", "--model", model, "--device", "cpu")
    run("evaluate", "inpaint-lesion", *made, "--json", tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [line["method"] for line in result["table"]] == ["real", "tiny"]
    drawn = [case["case"] for case in result["cases"] if case["method"] == "tiny"]
    assert drawn == ["msd_1_own_mask_seed0", "msd_1_own_mask_seed1"] and result["diameters_mm"] == []
    with pytest.raises(InputError, match="has no label map of msd_1"):
        run("evaluate", "inpaint-lesion", *made, "--anatomy", tmp_path)
    auto = f"ct,lesion,lesion_labels,region,name,anatomy\n{line.replace(',none', ',auto')}\n"
    table.write_text(auto, encoding="utf-8")
    for task in ("inpaint-lesion", "generate-lesion") if not is_installed() else ():
        with pytest.raises(InputError, match="TotalSegmentator is not installed"):
            run("evaluate", task, *made)
    wrong = f"ct,lesion,lesion_labels,region,name\n{line.replace(',2,', ',3,').removesuffix(',none')}\n"
    table.write_text(wrong, encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no lesion with the label 3.*leave the case msd_1 out"):
        run("evaluate", "inpaint-lesion", *made)


def test_lesions_drawn_elsewhere_are_measured_and_kept(run, folder, model, tmp_path):
    """A method that writes 30 HU into the mask, called as the list's case; without its image nothing is begun."""
    table, keep, report = tmp_path / "list.csv", tmp_path / "raw", tmp_path / "r.json"
    line = f"{folder / 'sick.nii.gz'},{folder / 'sick_seg.nii.gz'},chest,msd_1,none"
    table.write_text(f"ct,lesion,region,name,anatomy\n{line}\n", encoding="utf-8")
    named = ("--list", table, "--model", model, "--device", "cpu", "--steps", "2", "--json", report)
    made = ("--result", tmp_path / "difftumor", "--keep", keep)
    with pytest.raises(InputError, match="difftumor is not a folder"):
        run("evaluate", "inpaint-lesion", *named, *made)
    (tmp_path / "difftumor").mkdir()
    with pytest.raises(InputError, match="has no msd_1"):
        run("evaluate", "inpaint-lesion", *named, *made)
    assert not keep.exists()
    image, mask = (sitk.ReadImage(str(folder / f"{name}.nii.gz")) for name in ("sick", "sick_seg"))
    drawn = sitk.Mask(image, mask == 0, outsideValue=30)
    sitk.WriteImage(drawn, str(tmp_path / "difftumor" / "msd_1.nii.gz"))
    run("evaluate", "inpaint-lesion", *named, *made)
    result = json.loads(report.read_text(encoding="utf-8"))
    assert [line["method"] for line in result["table"]] == ["real", "tiny", "difftumor"]
    own = result["table"][2]
    assert own["HU mean"] == pytest.approx(30) and own["HU sd"] == pytest.approx(0, abs=1e-6)
    file = keep / "imagesTs" / "drawn_msd_1_own_mask_difftumor_0000.nii.gz"
    kept, own = (sitk.GetArrayFromImage(sitk.DICOMOrient(i, "LPS")) for i in (sitk.ReadImage(str(file)), drawn))
    assert np.array_equal(kept, own)
    shutil.copytree(keep / "labelsTs", tmp_path / "found")
    run("evaluate", "inpaint-lesion", "--keep", keep, "--segmentations", tmp_path / "found", "--json", report)
    assert json.loads(report.read_text(encoding="utf-8"))["table"][2]["Dice"] == 1

    options = ("--quality", "fast", "--spacing", "3", "--result", tmp_path / "difftumor")
    printed = run("evaluate", "generate-lesion", *named, *options)
    result = json.loads(report.read_text(encoding="utf-8"))
    _, ours, theirs = result["table"]
    assert theirs["method"] == "difftumor" and 0 < theirs["LPIPS"] < ours["LPIPS"]
    assert "differ from the synthetic CT of the same seed: 0." in printed


def test_label_maps_masks_and_cts_are_written_for_others(run, folder, tmp_path):
    """Without a model; by the names that their images are to have."""
    table = tmp_path / "list.csv"
    line = f"{folder / 'sick.nii.gz'},{folder / 'sick_seg.nii.gz'},chest,msd_1,none"
    table.write_text(f"ct,lesion,region,name,anatomy\n{line}\n", encoding="utf-8")

    def read(*words):
        image = sitk.ReadImage(str(tmp_path.joinpath(*words, "msd_1.nii.gz")))
        return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS"))

    for task, kinds in (("synthesize", ["labels"]), ("generate-lesion", ["labels", "lesion"])):
        run("evaluate", task, "--list", table, "--spacing", "3", "--write-inputs", tmp_path / task)
        assert sorted(path.name for path in (tmp_path / task).iterdir()) == kinds
    assert np.array_equal(read("synthesize", "labels"), read("generate-lesion", "labels"))
    assert 119 in read("synthesize", "labels") and read("generate-lesion", "lesion").any()
    run("evaluate", "inpaint-lesion", "--list", table, "--write-inputs", tmp_path / "inpaint-lesion")
    ct, mask = (sitk.ReadImage(str(folder / f"{name}.nii.gz")) for name in ("sick", "sick_seg"))
    for kind, image in (("ct", ct), ("lesion", mask > 0)):
        assert np.array_equal(read("inpaint-lesion", kind), sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")))


def test_two_cases_whose_files_have_one_name_are_two(run, folder, model, tmp_path):
    """As the series of MED-LN may: each lesion is held against the synthetic CT of its own anatomy."""
    lines = []
    for name, step in (("one", 1), ("two", -1)):
        (tmp_path / name).mkdir()
        for file in ("sick", "sick_seg"):
            image = sitk.ReadImage(str(folder / f"{file}.nii.gz"))
            turned = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[..., ::step])
            turned.CopyInformation(image)
            sitk.WriteImage(turned, str(tmp_path / name / f"{file}.nii.gz"))
        lines.append(f"{name}/sick.nii.gz,{name}/sick_seg.nii.gz,chest,{name},none")
    table = tmp_path / "list.csv"
    table.write_text("\n".join(["ct,lesion,region,name,anatomy", *lines]) + "\n", encoding="utf-8")
    options = (
        "--quality",
        "fast",
        "--steps",
        "2",
        "--spacing",
        "3",
        "--features",
        "none",
        "--json",
        tmp_path / "r.json",
    )
    run("evaluate", "generate-lesion", "--list", table, "--model", model, "--device", "cpu", *options)
    cases = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"]
    drawn = [case for case in cases if case["method"] == "tiny"]
    assert [case["case"] for case in drawn] == ["one_own_mask", "two_own_mask"]
    assert all(case["changed_outside"] == 0 for case in drawn)


def test_a_whole_body_scan_is_a_case_for_each_region(tmp_path, data):
    """Cut as `train prepare` cuts it, so that each part is what the model was trained on: neighbors share 40 mm."""
    scan, organs = whole_body(data)
    for volume, name in ((scan, "body"), (scan.with_voxels(organs), "organs")):
        write_volume(volume, tmp_path / f"{name}.nii.gz")
    pairs = load_pairs(tmp_path / "body.nii.gz", "auto", PairOptions(), tmp_path / "organs.nii.gz", "one")
    assert [pair.name for pair in pairs] == ["one-abdomen", "one-chest", "one-head-neck"]
    assert [pair.region for pair in pairs] == ["abdomen", "chest", "head-neck"]
    assert 5 in pairs[0].labels.voxels and 5 not in pairs[2].labels.voxels  # the liver
    assert all(pair.ct.same_grid(pair.labels) for pair in pairs)
    z = [np.rint((pair.ct.origin[2] + 200) / 10).astype(int) + np.array([0, len(pair.organs)]) for pair in pairs]
    assert [(a[1] - b[0]) * 10 for a, b in itertools.pairwise(z)] == [40, 40]
    for pair, (start, stop) in zip(pairs, z, strict=True):
        assert np.array_equal(np.flip(pair.ct.voxels, (1, 2)), np.flip(scan.voxels[start:stop], (1, 2)))
    middle = load_pairs(tmp_path / "body.nii.gz", "auto", PairOptions(slab_mm=30), tmp_path / "organs.nii.gz")
    assert [pair.ct.size_mm[2] for pair in middle] == [30, 30, 30] and middle[0].name == "body-abdomen"


def test_a_scan_of_one_region_is_one_case(folder):
    (pair,) = load_pairs(folder / "healthy.nii.gz", "auto", PairOptions(4.0))
    assert (pair.name, pair.region) == ("healthy", "chest")
