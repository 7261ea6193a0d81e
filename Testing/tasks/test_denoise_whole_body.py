"""Denoising of a scan that shows several regions: each part as if it were alone, joined without a seam."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_model import save_tiny_model, save_tiny_refiner
from whole_body import whole_body

from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.refinement.low_dose import LOW_DOSE
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.volumes.volume import Volume

OPTIONS = {"sigma": 20, "quality": "fast", "strength": "full"}
PARTS = {"abdomen": (0, 14), "chest": (10, 26), "head-neck": (22, 34)}  # the slices, 20 mm beyond each cut


@pytest.fixture(scope="module")
def scan(data):
    return whole_body(data)[0]


def full(scan):
    """Labels in every voxel, so that a crop's conditions do not depend on what its body is found to be."""
    return scan.with_voxels(np.where(scan.voxels > 200, 91, np.where(scan.voxels > -500, 86, 121)).astype(np.uint8))


@pytest.fixture(scope="module")
def model(tiny_model):
    """Windows that do not overlap: half of the work."""
    return replace(tiny_model, config={"tasks": {"denoise": {"fast": {"overlap": 0.0}}}})


@pytest.fixture(scope="module")
def done(scan, model):
    events = []
    return denoise(scan, model, progress=events.append, anatomy=full(scan), **OPTIONS), events


@pytest.fixture(scope="module")
def alone(scan, model):
    """Each part's slices as a scan of their own, with its region given."""
    image = scan.to_sitk()
    results = {}
    for name, (start, stop) in PARTS.items():
        crop = Volume.from_sitk(image[:, :, start:stop], name)
        results[name] = denoise(crop, model, region=name, anatomy=full(crop), **OPTIONS).volume.voxels
    return results


def test_each_part_is_computed_as_its_own_whole_image(done, alone):
    """Where one part counts alone, its voxels are those of the part denoised alone: window, class and position."""
    voxels = done[0].volume.voxels
    for name, (start, stop) in {"abdomen": (0, 10), "chest": (14, 22), "head-neck": (26, 34)}.items():
        first = PARTS[name][0]
        assert np.array_equal(voxels[start:stop], alone[name][start - first : stop - first]), name


def test_between_two_parts_it_passes_from_one_to_the_other(done, alone):
    """cos² weights at slices 10 … 13, within the rounding of the parts to whole HU."""
    voxels = done[0].volume.voxels[10:14].astype(float)
    below, above = alone["abdomen"][10:14].astype(float), alone["chest"][0:4].astype(float)
    share = np.sin(np.pi / 2 * np.array([0.125, 0.375, 0.625, 0.875]))[:, None, None] ** 2
    assert not np.array_equal(below, above)
    assert np.abs(voxels - ((1 - share) * below + share * above)).max() <= 1.0


def test_the_facts_list_the_parts(done):
    result, _ = done
    facts = result.facts
    assert facts.region == "abdomen + chest + head-neck" and "abdomen + chest" in result.summary()
    assert [(p.region, p.mm_superior, p.window_hu) for p in facts.regions] == [
        ("abdomen", [-205.0, -85.0], [-120.0, 240.0]),
        ("chest", [-85.0, 35.0], [-1400.0, 400.0]),
        ("head-neck", [35.0, 135.0], [-150.0, 250.0]),
    ]
    assert facts.network_evaluations == sum(p.network_evaluations for p in facts.regions) > 0


def test_progress_covers_all_parts(done):
    fractions = [p.fraction for p in done[1]]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and done[1][-1].steps == 3


def test_progress_covers_what_helps_in_every_part(scan, tmp_path):
    """A window's step, non-local means, the refiner and its means, three times, and never backwards."""
    folder = save_tiny_model(tmp_path / "tiny")
    save_tiny_refiner(folder, LOW_DOSE)
    settings, events = {"overlap": 0.0, "nlm_share": 0.5}, []
    model = load_model(folder, "cpu", precision="float32")
    model = replace(model, config=model.config | {"tasks": {"denoise": {"fast": settings}}})
    denoise(scan, model, progress=events.append, anatomy=full(scan), **OPTIONS)
    events = [p for p in events if p.steps == 3 * 4]
    fractions = [p.fraction for p in events]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1.0 and events[-1].step == 12
    assert sum(p.preview is not None for p in events) == 3  # after the model's steps alone there is one to show


def test_a_given_region_never_splits(scan, model):
    small = Volume.from_sitk(scan.to_sitk()[10:40, 10:32, :], "narrow")
    result = denoise(small, model, region="chest", **OPTIONS)
    assert result.facts.region == "chest" and "parts" not in result.facts.to_dict()


def test_a_scan_of_one_region_is_computed_as_with_that_region_given(scan, model):
    abdomen = Volume.from_sitk(scan.to_sitk()[:, :, :11], "abdomen")
    auto, given = (denoise(abdomen, model, region=region, **OPTIONS) for region in ("auto", "abdomen"))
    assert np.array_equal(auto.volume.voxels, given.volume.voxels) and auto.facts == given.facts
    assert auto.facts.region == "abdomen" and "parts" not in auto.facts.to_dict()


def test_turned_scans_and_other_grids_keep_what_is_promised(scan, model):
    """Stored as LPS and computed on another grid: bone and air outside a part's window keep their HU, no voxel changes
    by more than 4 σ, and the grid comes back.
    """
    model = replace(model, config={"tasks": {"denoise": {"fast": {"overlap": 0.0, "spacing_mm": 5.0}}}})
    turned = Volume.from_sitk(sitk.DICOMOrient(scan.to_sitk(), "LPS"), "turned")
    result = denoise(turned, model, **OPTIONS)
    voxels, source = result.volume.voxels, turned.voxels
    assert result.facts.region == "abdomen + chest + head-neck"
    assert (result.volume.origin, result.volume.direction) == (turned.origin, turned.direction)
    assert np.abs(voxels.astype(int) - source).max() <= 80
    for (start, stop), (low, high) in {(0, 9): (-120, 240), (15, 21): (-1400, 400), (27, 34): (-150, 250)}.items():
        beyond = (source[start:stop] < low - 60) | (source[start:stop] > high + 60)
        assert beyond.any() and np.array_equal(voxels[start:stop][beyond], source[start:stop][beyond])
        assert not np.array_equal(voxels[start:stop], source[start:stop])
    changed = (voxels != source)[15:21]
    assert changed[source[15:21] < -300].any()  # lung, which only the chest's window holds
