"""`train prepare` on real CT: every row accounted for, the voxels those of the files, resumable, in parallel."""

import csv
import hashlib
import json
from pathlib import Path

import blosc2
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from whole_body import whole_body

from MedDiffFMLib.anatomy.body_regions import split_body
from MedDiffFMLib.anatomy.tissue import BodyImage
from MedDiffFMLib.diffusion.slice_operators import block_mean, interpolate_slices, replicate
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.dicom.writing import write_series
from MedDiffFMLib.volumes.frame import prepare
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.data.manifest import write_manifest
from MedDiffFMTraining.data.prepare import Settings
from MedDiffFMTraining.data.run import prepare_manifest
from MedDiffFMTraining.data.store import Case, open_store

OWN = Settings(spacing_mm=None)
RECORD = {"task": "denoise", "synthetic": False, "model": {"name": "tiny", "sha256": "0" * 64}}
SECRET = "Jane-Doe-1970"


def ras(image):
    return sitk.GetArrayFromImage(sitk.DICOMOrient(image, "RAS"))


def slab(data, name, first=50, slices=14):
    """Some slices of a real CT, (image, its label map)."""
    files = (data / f"{name}.nii.gz", data / f"{name}_seg.nii.gz")
    return [read_volume(file).to_sitk()[:, :, first : first + slices] for file in files]


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    """A NIfTI with organs and a lesion, a DICOM folder, and what must be refused: damaged, a twin, two wrong scales."""
    folder = tmp_path_factory.mktemp("data")
    image, organs = slab(data, "abd_ts_example")
    sitk.WriteImage(image, str(folder / "abdomen.nii.gz"))
    sitk.WriteImage(organs, str(folder / "organs.nii.gz"))
    chest = Volume.from_sitk(slab(data, "chest_ts_aorta", slices=30)[0])
    write_series(chest, folder / "dicom", RECORD)
    (folder / "damaged.nii.gz").write_bytes((folder / "abdomen.nii.gz").read_bytes()[:5000])
    sitk.WriteImage(sitk.DICOMOrient(image, "RAI"), str(folder / "twin.mha"))
    voxels = sitk.GetArrayFromImage(image)
    for name, wrong in (("offset", voxels + 1024), ("half", voxels // 2)):
        wrong[:, :6, :] = -2000 if name == "offset" else wrong[:, :6, :]
        write_volume(Volume.from_sitk(image).with_voxels(wrong.astype(np.int16)), folder / f"{name}.nrrd")
    lines = [
        {"path": "abdomen.nii.gz", "anatomy": "organs.nii.gz", "lesion": "organs.nii.gz", "lesion_labels": "18"},
        {"path": "dicom", "region": "chest"},
        {"path": "damaged.nii.gz"},
        {"path": "twin.mha"},
        {"path": "offset.nrrd"},
        {"path": "half.nrrd"},
        {"path": "missing.nii.gz"},
    ]
    for number, line in enumerate(lines):
        line.setdefault("region", "auto")
        line.setdefault("anatomy", "none")
        line |= {"patient": f"{SECRET}-{number}", "name": Path(line["path"]).stem.split(".")[0], "split": "train"}
    write_manifest(folder / "manifest.csv", lines)
    return folder


@pytest.fixture(scope="module")
def prepared(files, tmp_path_factory):
    store = tmp_path_factory.mktemp("prepared") / "store"
    return store, {outcome.name: outcome for outcome in prepare_manifest(files / "manifest.csv", store, OWN)}


def fingerprints(store):
    """What the store's arrays hold, by file. Not their bytes: threads write compressed blocks in any order."""
    arrays = {str(p.relative_to(store)): np.ascontiguousarray(blosc2.open(str(p))[:]) for p in store.glob("*/*/*.b2nd")}
    return {name: (a.shape, a.dtype, hashlib.sha256(a.tobytes()).hexdigest()) for name, a in arrays.items()}


def test_every_row_is_accounted_for(prepared):
    store, outcomes = prepared
    assert [outcomes[n].cases for n in ("abdomen", "dicom")] == [["abdomen"], ["dicom"]]
    why = {name: outcome.reasons[0] for name, outcome in outcomes.items() if outcome.status == "refused"}
    assert set(why) == {"damaged", "twin", "offset", "half", "missing"}
    assert "damaged or cut short" in why["damaged"] and "does not exist" in why["missing"]
    assert "same voxels as abdomen" in why["twin"]
    assert "offset by 1024" in why["offset"] and "air is at -" in why["half"]
    assert sorted(case.facts.name for case in open_store(store, "train")) == ["abdomen", "dicom"]
    table = {row["name"]: row for row in csv.DictReader((store / "report.csv").open(encoding="utf-8"))}
    assert table["twin"]["status"] == "refused" and table["abdomen"]["line"] == "2"
    counts = json.loads((store / "report.json").read_text(encoding="utf-8"))["counts"]
    assert counts["refused"] == 5 and counts["train"] == 2 and counts["validation"] == 0


def test_no_patient_and_no_path_is_in_the_store(prepared, files):
    store, _ = prepared
    texts = [p.read_bytes() for p in store.rglob("*") if p.is_file()]
    assert len(texts) > 10 and not any(SECRET.encode() in t or str(files).encode() in t for t in texts)


def test_voxels_organs_and_lesion_are_the_files(prepared, data):
    """In RAS order; label 18 plays the lesion; what no organ is given is body, lung, bone or gas."""
    store, _ = prepared
    case = Case(store / "train" / "abdomen")
    image, organs = slab(data, "abd_ts_example")
    inside = tuple(slice(o, o + n) for o, n in zip(case.geometry.offset, case.hu.box().shape, strict=True))
    assert case.hu.shape == ras(image).shape and np.array_equal(case.hu[inside], ras(image)[inside])
    given, labels = ras(organs), np.asarray(case.labels)
    assert np.array_equal(labels[given > 0], given[given > 0]) and set(np.unique(labels[given == 0])) >= {0, 118, 120}
    assert np.array_equal(case.lesion, given == 18) and case.facts.region == "abdomen"
    chest = Case(store / "train" / "dicom")
    image = ras(slab(data, "chest_ts_aorta", slices=30)[0])
    inside = tuple(slice(o, o + n) for o, n in zip(chest.geometry.offset, chest.hu.box().shape, strict=True))
    assert np.array_equal(chest.hu[inside], np.clip(image, -1024, 3071)[inside])
    assert chest.facts.spacing == pytest.approx((1.5, 1.5, 1.5)) and not chest.facts.placed  # a crop around the heart


def test_what_is_done_stays_and_what_changed_is_done_again(prepared, files):
    store, _ = prepared
    before = {p: p.stat().st_ino for p in store.glob("train/*/case.json")}
    prepare_manifest(files / "manifest.csv", store, OWN)
    assert {p: p.stat().st_ino for p in store.glob("train/*/case.json")} == before
    changed = (files / "manifest.csv").read_text().replace(f"dicom,{SECRET}-1,chest", f"dicom,{SECRET}-1,abdomen")
    (files / "other.csv").write_text(changed)
    prepare_manifest(files / "other.csv", store, OWN)
    after = {p: p.stat().st_ino for p in store.glob("train/*/case.json")}
    assert after[store / "train/abdomen/case.json"] == before[store / "train/abdomen/case.json"]
    assert Case(store / "train" / "dicom").facts.region == "abdomen"
    prepare_manifest(files / "manifest.csv", store, OWN)  # back again, for the other tests


def test_a_stopped_run_leaves_a_whole_store_and_goes_on(files, prepared, tmp_path):
    """Ctrl-C after the first row: one case that reads, nothing half-made; then the rest, as if never stopped."""

    def stop(outcome, done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_manifest(files / "manifest.csv", tmp_path / "store", OWN, on_outcome=stop)
    assert [case.facts.name for case in open_store(tmp_path / "store", "train")] == ["abdomen"]
    assert not list((tmp_path / "store").glob(".stage*"))
    prepare_manifest(files / "manifest.csv", tmp_path / "store", OWN)
    assert fingerprints(tmp_path / "store") == fingerprints(prepared[0])


def test_two_processes_make_the_same_store(files, prepared, tmp_path):
    pytest.importorskip("distributed")
    outcomes = prepare_manifest(files / "manifest.csv", tmp_path / "store", OWN, jobs=2)
    assert {o.name: o.reasons for o in outcomes} == {n: o.reasons for n, o in prepared[1].items()}
    assert fingerprints(tmp_path / "store") == fingerprints(prepared[0])


def test_a_cluster_is_reached_by_its_address(files, tmp_path):
    distributed = pytest.importorskip("distributed")
    line = {"path": "abdomen.nii.gz", "patient": "a", "region": "abdomen", "anatomy": "none", "split": "train"}
    write_manifest(files / "cluster.csv", [line | {"name": "one"}])
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        (outcome,) = prepare_manifest(files / "cluster.csv", tmp_path, OWN, scheduler=address)
    assert outcome.cases == ["one"] and Case(tmp_path / "train" / "one").hu.shape == (14, 101, 122)


def test_the_twin_of_a_test_patients_ct_leaves_the_training(files, tmp_path):
    """In whatever order they come: the CT stays out of the store, and so does its copy under another patient."""
    lines = [
        {"path": "abdomen.nii.gz", "patient": "a", "region": "abdomen", "anatomy": "none", "split": "train"},
        {"path": "twin.mha", "patient": "b", "region": "abdomen", "anatomy": "none", "split": "test"},
    ]
    for order in (lines, lines[::-1]):
        write_manifest(files / "order.csv", order)
        store = tmp_path / order[0]["patient"]
        outcomes = {o.split: o for o in prepare_manifest(files / "order.csv", store, OWN)}
        assert outcomes["train"].status == "refused" and outcomes["test"].status != "refused"
        assert not list(store.glob("*/*/hu.b2nd"))


def test_another_spacing_is_the_frame_of_inference(files, tmp_path):
    """14 slices of 3 mm are 21 of 2 mm: voxels and organs as `MedDiffFMLib.volumes.frame` gives them to a task."""
    one = {"path": "abdomen.nii.gz", "patient": "a", "region": "auto", "anatomy": "organs.nii.gz", "split": "train"}
    write_manifest(files / "fine.csv", [one | {"name": "fine"}])
    prepare_manifest(files / "fine.csv", tmp_path, Settings(spacing_mm=2.0))
    case = Case(tmp_path / "train" / "fine")
    frame = prepare(read_volume(files / "abdomen.nii.gz"), 2.0)
    assert case.hu.shape == frame.hu.shape == (21, 152, 183) and case.facts.spacing == (2, 2, 2)
    inside = tuple(slice(o, o + n) for o, n in zip(case.geometry.offset, case.hu.box().shape, strict=True))
    assert np.array_equal(case.hu[inside], np.clip(np.rint(frame.hu), -1024, 3071)[inside])
    organs = frame.labels(read_volume(files / "organs.nii.gz"))
    assert np.array_equal(np.asarray(case.labels)[organs > 0], organs[organs > 0])


def test_a_thick_pair_lies_where_inference_puts_thick_slices(files, tmp_path):
    """Pairs of 3 mm slices averaged to 6 mm, on a grid of their own whose first slice lies 1.5 mm higher;
    where it ends, its last voxels go on.
    """
    thin = read_volume(files / "abdomen.nii.gz")
    thick = block_mean(torch.from_numpy(thin.voxels.astype(np.float32)), 2)
    x, y, z = thin.origin
    grid = ((3.0, 3.0, 6.0), (x, y, z + 1.5 * thin.direction[8]), thin.direction)
    write_volume(Volume(thick[:, :, :118].numpy(), *grid), files / "thick.nii.gz")  # 4 columns less than the CT
    line = {"path": "abdomen.nii.gz", "patient": "a", "region": "abdomen", "anatomy": "none", "split": "train"}
    far = Volume(thick.numpy(), grid[0], (x, y, z + 500), thin.direction)
    write_volume(far, files / "far.nii.gz")
    write_volume(Volume(np.roll(thick.numpy(), 50, axis=1), *grid), files / "other.nii.gz")
    pairs = [line | {"name": name, "pair": f"{name}.nii.gz"} for name in ("thick", "far", "other")]
    write_manifest(files / "pair.csv", pairs)
    outcomes = prepare_manifest(files / "pair.csv", tmp_path, OWN)
    case = Case(tmp_path / "train" / "thick")
    thick[:, :, 118:] = thick[:, :, 117:118]
    expected = interpolate_slices(thick, 2)
    expected[:, :, 118:] = replicate(thick, 2)[:, :, 118:]
    expected = expected.numpy()[:, ::-1, ::-1]
    inside = tuple(slice(o, o + n) for o, n in zip(case.geometry.offset, case.pair.box().shape, strict=True))
    assert np.abs(case.pair[inside] - np.clip(expected, -1024, 3071)[inside]).max() <= 1
    assert outcomes[1].status == "refused" and "<pair> shows only 0% of the body" in outcomes[1].reasons[0]
    assert outcomes[2].status == "refused" and "<pair> and its CT do not show the same" in outcomes[2].reasons[0]


def test_a_whole_body_is_split_as_at_inference(data, tmp_path):
    """Each region is an image of its own, whose frame has the slices of the part that a task would compute."""
    volume, organs = whole_body(data)
    write_volume(volume, tmp_path / "body.nii.gz")
    write_volume(volume.with_voxels(organs), tmp_path / "organs.nii.gz")
    line = {"path": "body.nii.gz", "patient": "a", "region": "auto", "anatomy": "none", "split": "train", "name": "b"}
    write_manifest(tmp_path / "manifest.csv", [line])
    (outcome,) = prepare_manifest(tmp_path / "manifest.csv", tmp_path / "store", OWN)
    frame = prepare(volume)
    parts = split_body(BodyImage(frame.hu, frame.spacing))
    assert outcome.cases == ["b-abdomen", "b-chest", "b-head-neck"] and len(parts) == 3
    for part, name in zip(parts, outcome.cases, strict=True):
        case = Case(tmp_path / "store" / "train" / name)
        assert case.facts.region == part.region.name and case.hu.shape == (part.stop - part.start, *frame.hu.shape[1:])
        inside = tuple(slice(o, o + n) for o, n in zip(case.geometry.offset, case.hu.box().shape, strict=True))
        assert np.array_equal(case.hu[inside], np.clip(frame.hu[part.z], -1024, 3071)[inside])


def test_totalsegmentator_that_is_not_there_is_said_before_any_work(files, tmp_path, monkeypatch):
    monkeypatch.setattr("MedDiffFMLib.anatomy.segmenter.is_installed", lambda: False)
    line = {"path": "abdomen.nii.gz", "patient": "a", "region": "auto", "anatomy": "auto"}
    write_manifest(files / "auto.csv", [line])
    with pytest.raises(InputError, match=r"Line 2 has the anatomy auto, which needs TotalSegmentator: install it"):
        prepare_manifest(files / "auto.csv", tmp_path / "store", OWN)
    assert not (tmp_path / "store").exists()
