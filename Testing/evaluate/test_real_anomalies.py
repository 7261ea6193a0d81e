"""Real lesions with their organ, and BMAD's slices: read by hand, measured by the real command."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from tiny_model import save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.evaluate.cases.anomalies import CaseSelection, find_cases
from MedDiffFMTraining.evaluate.cases.bmad import read_bmad
from MedDiffFMTraining.evaluate.metrics.anomalies import auroc, detection_quality

LIVER = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data):
    """The repository's abdomen with a mask as of the Decathlon: 1 is the liver, 2 a ball in it."""
    folder = tmp_path_factory.mktemp("liver")
    image = sitk.ReadImage(str(data / "abd_ts_example.nii.gz"))
    organs = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "abd_ts_example_seg.nii.gz")))
    mask = (organs == LIVER).astype(np.uint8)
    middle = np.round(np.argwhere(mask).mean(axis=0)).astype(int)
    near = (sum((i - c) ** 2 for i, c in zip(np.indices(mask.shape), middle, strict=True)) < 20) & (mask > 0)
    mask[near] = 2
    seg = sitk.GetImageFromArray(mask)
    seg.CopyInformation(image)
    sitk.WriteImage(image, str(folder / "msd.nii.gz"))
    sitk.WriteImage(seg, str(folder / "msd_seg.nii.gz"))
    (folder / "labels.json").write_text(json.dumps({"msd": {"1": "liver", "2": "tumor"}}), encoding="utf-8")
    return folder


@pytest.fixture
def run(run):
    """Of which the output comes with single spaces."""
    return lambda *arguments: " ".join(run("evaluate", "detect-anomalies", *arguments).split())


def test_the_organ_around_a_real_lesion_is_the_masks_own(folder):
    """No threshold can find a liver: it is the organ that the mask names, and the lesion counts to it."""
    (case,) = find_cases(CaseSelection(folder, lesions="msd:abdomen", organ="liver"))
    mask = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(folder / "msd_seg.nii.gz")), "LPS"))
    assert np.array_equal(case.lesion, mask == 2) and np.array_equal(case.counted, mask > 0)
    assert (case.anatomy.voxels[mask == 0] > 0).any()  # the rest is found by thresholds


def test_a_list_tells_the_labels_of_organ_and_lesion(run, folder, tmp_path):
    """Of a mask without names the numbers are not taken for TotalSegmentator's (1 would be a spleen)."""
    table, report = tmp_path / "list.csv", tmp_path / "r.json"
    header = "ct,lesion,region,lesion_labels,organ,organ_labels"
    line = f"{folder / 'msd.nii.gz'},{folder / 'msd_seg.nii.gz'},abdomen"
    table.write_text(f"{header}\n{line},2,liver,1\n", encoding="utf-8")
    run("--list", table, "--baselines-only", "--json", report)
    (raw, _) = json.loads(report.read_text(encoding="utf-8"))["cases"]
    (case,) = find_cases(CaseSelection(folder, lesions="msd:abdomen", organ="liver"))
    hu = case.volume.voxels[case.counted].clip(-120, 240)
    assert raw["organ"] == "liver" and raw["pixel_auroc"] == pytest.approx(
        auroc(np.abs(hu - np.median(hu)), case.lesion[case.counted])
    )
    for cells, words in ((",liver,1", "line 2: it names organ_labels and no"), ("2,livre,1", "no organ 'livre'")):
        table.write_text(f"{header}\n{line},{cells}\n".replace(",,", ",", 0), encoding="utf-8")
        with pytest.raises(InputError, match=words):
            run("--list", table, "--baselines-only")
    table.write_text(f"{header}\n{line},2,liver,\n", encoding="utf-8")
    with pytest.raises(InputError, match="no liver around the lesion of msd"):
        run("--list", table, "--baselines-only")


def test_maps_made_elsewhere_are_scored_as_they_are(run, folder, tmp_path):
    """On the CT's grid, in any unit, the higher the more abnormal: the lesion itself, and what is highest around it."""
    table, report = tmp_path / "list.csv", tmp_path / "r.json"
    line = f"{folder / 'msd.nii.gz'},{folder / 'msd_seg.nii.gz'},abdomen,2,liver,1,liver_7"
    table.write_text(f"ct,lesion,region,lesion_labels,organ,organ_labels,name\n{line}\n", encoding="utf-8")
    mask = sitk.ReadImage(str(folder / "msd_seg.nii.gz"))
    for method, sign in (("finds", 0.001), ("misses", -0.001)):
        (tmp_path / method).mkdir()
        lesion = sitk.Cast(mask == 2, sitk.sitkFloat32) * sign
        sitk.WriteImage(lesion, str(tmp_path / method / "liver_7.nii.gz"))
    given = ("--result", tmp_path / "finds", "--result", tmp_path / "misses")
    run("--list", table, "--baselines-only", "--json", report, *given)
    rows = {row["method"]: row for row in json.loads(report.read_text(encoding="utf-8"))["cases"]}
    assert list(rows)[2:] == ["finds", "misses"]
    assert (rows["finds"]["pixel_auroc"], rows["finds"]["dice"]) == (1, 1) and rows["misses"]["pixel_auroc"] == 0
    (tmp_path / "finds" / "liver_7.nii.gz").unlink()
    file = tmp_path / "finds" / "liver_7.nrrd"
    for pixels, words in ((np.full((2, 2, 2), np.nan), "not numbers"), (np.zeros((2, 2, 2)), "not on the grid")):
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(file))
        with pytest.raises(InputError, match=words):
            run("--list", table, "--baselines-only", *given)
    file.write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as a map"):
        run("--list", table, "--baselines-only", *given)
    file.unlink()
    with pytest.raises(InputError, match="has no liver_7"):
        run("--list", table, "--baselines-only", *given)
    with pytest.raises(InputError, match="has no msd"):
        run("--data", folder, "--cases", "msd:abdomen", "--organ", "liver", "--baselines-only", *given)


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(pixels.astype(np.uint8)), str(path))


@pytest.fixture
def slices(tmp_path):
    """Two patients: slices 9 and 10 of the first, the later one with a lesion of 4 pixels; one healthy of the second.
    A liver of gray 102 on black, the lesion 51.
    """
    liver = np.zeros((24, 24))
    liver[4:20, 4:20] = 102
    sick, label = liver.copy(), np.zeros((24, 24))
    sick[8:10, 8:10], label[8:10, 8:10] = 51, 255
    test = tmp_path / "hist_DIY" / "test"
    picture(test / "good" / "img" / "p1_9.png", liver)
    picture(test / "good" / "img" / "p2_3.png", liver)
    picture(test / "Ungood" / "img" / "p1_10.png", sick)
    picture(test / "Ungood" / "label" / "p1_10.png", label)
    return tmp_path / "hist_DIY"


def test_slices_of_a_patient_are_stacked_in_their_order(slices):
    """Gray 102 of 255 in −160 … 240 HU is 0 HU, 51 is −80; black is air and no organ."""
    one, two = read_bmad(slices, (-160.0, 240.0), 1.5)
    assert (one.name, two.name, one.organ, one.volume.spacing) == ("p1", "p2", "liver", (1.5, 1.5, 1.5))
    assert one.volume.voxels.shape == (2, 24, 24) and two.volume.voxels.shape == (1, 24, 24)
    assert one.lesion.sum() == one.lesion[1].sum() == 4  # slice 10 after slice 9
    assert set(np.unique(one.volume.voxels)) == {-1000, -80, 0} and (one.volume.voxels[one.lesion] == -80).all()
    assert one.counted.sum() == 2 * 16 * 16


def test_all_slices_count_together_with_the_ground_and_without(run, slices, tmp_path):
    """The two countings, by hand: the ground scores 0, as most of the liver does."""
    model, report = save_tiny_model(tmp_path / "tiny", patch=16), tmp_path / "r.json"
    printed = run(
        "--bmad", slices, "--gray-window", -160, 240, "--quality", "paper",
        "--model", model, "--device", "cpu", "--precision", "float32", "--json", report,
    )  # fmt: skip
    read = json.loads(report.read_text(encoding="utf-8"))
    rows = {(row["counted"], row["method"]): row for row in read["cases"]}
    assert len(rows) == 6 and read["slices"] == 3 and read["stacks"] == 2 and "3 slices, 1 with a lesion" in printed
    one, two = read_bmad(slices, (-160.0, 240.0), 1.0)
    score = np.concatenate([np.abs(case.volume.voxels.clip(-120, 240) * case.counted) for case in (one, two)])
    lesion = np.concatenate([one.lesion, two.lesion])
    for counted, where in (("whole image, as BMAD", np.ones_like(lesion)), ("within the organ", score >= 0)):
        where = where if counted.startswith("whole") else np.concatenate([one.counted, two.counted])
        expected = detection_quality(score.astype(float), lesion, where)
        found = rows[counted, "|HU − median|"]
        assert (found["image_auroc"], found["pixel_auroc"], found["pro"]) == pytest.approx(expected[:3])
    assert read["settings"]["quality"] == "paper" and read["settings"]["smoothing_mm"] == 0
    assert read["settings"]["from_median"] is False and "Table VI" in printed


def test_maps_of_bmads_slices_count_on_the_black_ground_too(run, slices, tmp_path):
    """A stack's map is called as its patient. One that is high on the ground alone is wrong there, not in the organ."""
    (tmp_path / "ground").mkdir()
    for case in read_bmad(slices, (-120.0, 240.0), 1.0):
        score = np.where(case.lesion, 1.0, np.where(case.counted, 0.0, 2.0)).astype(np.float32)
        sitk.WriteImage(case.volume.with_voxels(score).to_sitk(), str(tmp_path / "ground" / f"{case.name}.nii.gz"))
    report = tmp_path / "r.json"
    run("--bmad", slices, "--baselines-only", "--result", tmp_path / "ground", "--json", report)
    rows = {(row["counted"], row["method"]): row for row in json.loads(report.read_text(encoding="utf-8"))["cases"]}
    whole, organ = (rows[counted, "ground"] for counted in ("whole image, as BMAD", "within the organ"))
    liver, ground = 3 * 16 * 16 - 4, 3 * (24 * 24 - 16 * 16)
    assert whole["pixel_auroc"] == pytest.approx(liver / (liver + ground)) and whole["image_auroc"] == 0.5
    assert (organ["pixel_auroc"], organ["image_auroc"], organ["dice"]) == (1, 1, 1)
    (tmp_path / "ground" / "p2.nii.gz").unlink()
    with pytest.raises(InputError, match="has no p2"):
        run("--bmad", slices, "--baselines-only", "--result", tmp_path / "ground")


def test_slices_whose_lesions_lie_on_the_ground_are_one_sentence(run, slices):
    """A label on black alone: nothing in the organ is a lesion, and no curve has two classes."""
    label = np.zeros((24, 24))
    label[0:2, 0:2] = 255
    picture(slices / "test" / "Ungood" / "label" / "p1_10.png", label)
    with pytest.raises(InputError, match="There is no lesion in the organ of these slices, so nothing can be"):
        run("--bmad", slices, "--baselines-only")


def test_stacks_and_their_organ_are_written_for_others(run, slices, tmp_path):
    run("--bmad", slices, "--gray-window", -160, 240, "--write-inputs", tmp_path / "given")
    one, _ = read_bmad(slices, (-160.0, 240.0), 1.0)
    ct, organ = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "given" / k / "p1.nii.gz"))) for k in ("ct", "organ")
    )
    assert np.array_equal(ct, one.volume.voxels) and np.array_equal(organ > 0, one.counted)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda folder: (folder / "test/Ungood/label/p1_10.png").unlink(), "has no label of p1_10.png"),
        (lambda folder: (folder / "test/Ungood/img/p1_10.png").unlink(), "no PNG in test/good and test/Ungood"),
        (lambda folder: picture(folder / "test/good/img/p1_8.png", np.ones((20, 24))), "has other pixels"),
        (lambda folder: picture(folder / "test/good/img/liver.png", np.ones((24, 24))), "no number in its name"),
        (lambda folder: (folder / "test/good/img/p1_7.png").write_bytes(b"no"), "cannot be read as PNG"),
    ],
)
def test_what_is_not_bmad_is_refused(slices, wrong, words):
    wrong(slices)
    with pytest.raises(InputError, match=words):
        list(read_bmad(slices, (-160.0, 240.0), 1.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bmad", ".", "--organ", "liver"), "--bmad names all slices"),
        (("--bmad", ".", "--gray-window", 240, -160), "the lower HU first"),
        (("--score", "high"), "no score 'high'"),
    ],
)
def test_options_that_contradict_are_refused(run, options, words):
    with pytest.raises(InputError, match=words):
        run(*options, "--baselines-only")
