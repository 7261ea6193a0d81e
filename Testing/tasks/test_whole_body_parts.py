"""The other tasks on a whole-body scan: each part in its own region, joined without a seam."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_controls, save_tiny_model
from whole_body import whole_body

from MedDiffFMLib.anatomy.body_regions import crop_to_span, split_body, split_labels
from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.tissue import BODY_LABEL, BodyImage, body_mask, complete_labels, find_tissue
from MedDiffFMLib.diffusion.slice_operators import cubic_slices
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies
from MedDiffFMLib.tasks.generate_lesion import generate_lesion
from MedDiffFMLib.tasks.generate_lesion import look as look_lesion
from MedDiffFMLib.tasks.super_resolve import look as look_thin
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.tasks.synthesize import look as look_labels
from MedDiffFMLib.tasks.synthesize import synthesize

NAMES = "abdomen + chest + head-neck"
THIN = {"factor": 2, "quality": "fast", "control": "none", "steps": 1}  # of super_resolve


@pytest.fixture(scope="module")
def body(data):
    """The scan and the organs of its abdomen, as volumes in RAS order."""
    scan, organs = whole_body(data)
    return scan, scan.with_voxels(organs)


def test_thin_slices_of_a_whole_body(body, tiny_model):
    """Thick slices stay the means; where one part alone counts, it is that part done by itself, if that has the same
    body: of the head's part the shoulders are in the whole's body, but not connected to the head's.
    """
    scan = body[0]
    made = super_resolve(scan, tiny_model, **THIN)
    assert made.facts.region == NAMES and len(made.facts.regions) == 3
    estimate = look_thin(scan, tiny_model, **THIN)
    assert {key: estimate[key] for key in ("region", "network_evaluations")}.items() <= made.facts.to_dict().items()
    thin = made.volume.voxels.astype(float)
    assert np.array_equal(thin.reshape(-1, 2, *thin.shape[1:]).mean(axis=1), scan.voxels)
    whole = body_mask(scan.voxels)
    parts = split_body(BodyImage(scan.voxels, scan.spacing[::-1], whole))
    same = [part for part in parts if np.array_equal(body_mask(scan.voxels[part.z]), whole[part.z])]
    assert [part.region.name for part in same] == ["abdomen", "chest"]
    for part in same:
        alone = super_resolve(crop_to_span(scan, part), tiny_model, **THIN, region=part.region.name)
        core = part.weights == 1
        assert core.sum() >= 3
        ours = thin[2 * part.start : 2 * part.stop].reshape(-1, 2, *thin.shape[1:])
        theirs = alone.volume.voxels.reshape(-1, 2, *thin.shape[1:])
        assert np.array_equal(ours[core], theirs[core])


def test_a_whole_body_is_synthesized_in_parts(body, tiny_model):
    scan, organs = body
    mask = body_mask(scan.voxels)
    labels = complete_labels(organs.voxels, find_tissue(BodyImage(scan.voxels, scan.spacing[::-1], mask)))
    anatomy = replace(organs, voxels=labels)
    events = []
    made = synthesize(anatomy, tiny_model, lambda now: events.append(now.fraction), quality="fast", steps=3)
    assert made.facts.region == NAMES
    found = look_labels(anatomy, tiny_model, quality="fast", steps=3)
    assert {key: found[key] for key in ("region", "network_evaluations")}.items() <= made.facts.to_dict().items()
    assert events == sorted(events) and events[-1] == 1
    parts = split_labels(labels, scan.spacing[::-1])
    assert [part.region.name for part in parts] == NAMES.split(" + ")
    for part in parts:
        alone = synthesize(crop_to_span(anatomy, part), tiny_model, quality="fast", steps=3, region=part.region.name)
        core = part.weights == 1
        assert np.array_equal(made.volumes[0].voxels[part.z][core], alone.volumes[0].voxels[core])


@pytest.mark.parametrize(("organ", "region"), [("liver", "abdomen"), ("lungs", "chest")])
def test_detection_takes_the_region_of_the_organ(body, tiny_model, organ, region):
    scan, organs = body
    model = replace(tiny_model, config={"tasks": {"detect-anomalies": {"spacing_mm": None}}})
    assert detect_anomalies(scan, model, organs, organ=organ, draws=1).facts.region == region


def test_thin_slices_of_a_part_take_the_body_of_the_whole(body, tiny_model):
    """Beside the head lies a thing that is larger than what the part shows of the patient, but not than the patient:
    the whole's body is the patient, so no window of the thing is computed, in a look or in a run.
    """
    scan, slices = body[0], len(body[0].voxels)
    beside = np.full((slices, 44, 70), -1000, np.int16)
    beside[-12:, 2:-2, 18:] = 100
    with_thing = replace(scan, voxels=np.concatenate([scan.voxels, beside], axis=2))
    asked = THIN
    alone = super_resolve(scan, tiny_model, **asked)
    found, made = look_thin(with_thing, tiny_model, **asked), super_resolve(with_thing, tiny_model, **asked)
    assert alone.facts.region == found["region"] == made.facts.region == NAMES
    assert found["network_evaluations"] == made.facts.network_evaluations
    head = slice(-2 * 4, None)
    cubic = cubic_slices(torch.from_numpy(with_thing.voxels.astype(np.float32)), 2).numpy()
    assert np.abs(made.volume.voxels - cubic)[head, :, 70:].max() <= 1  # the thing: no model, and rounded
    assert np.abs(made.volume.voxels - cubic)[head, 12:32, 16:36].max() > 5  # the head: the model spoke


def test_a_part_without_other_body_of_its_own_is_not_given_a_guess(body, tiny_model):
    """118 stands in the abdomen alone: the body is given, also above, where it is the organs and nothing else."""
    scan, organs = body
    mask = body_mask(scan.voxels)
    labels = complete_labels(organs.voxels, find_tissue(BodyImage(scan.voxels, scan.spacing[::-1], mask)))
    abdomen = np.arange(len(labels))[:, None, None] < 8
    anatomy = organs.with_voxels(np.where((labels == BODY_LABEL) & ~abdomen, np.uint8(0), labels))
    asked = {"quality": "fast", "steps": 3}
    made, found = synthesize(anatomy, tiny_model, **asked), look_labels(anatomy, tiny_model, **asked)
    assert made.facts.region == NAMES and made.facts.body == "given"
    assert found["network_evaluations"] == made.facts.network_evaluations
    assert (made.volumes[0].voxels[anatomy.voxels == 0] == -1000).all()


@pytest.mark.parametrize(("place", "region"), [(4, "abdomen"), (17, "chest"), (29, "head-neck")])
def test_a_lesion_is_generated_in_the_region_where_it_lies(body, tiny_model_with_controls, place, region):
    """A whole-body label map: around the lesion stands what the same seed synthesizes, in the lesion HU of the window
    of its region.
    """
    scan, organs = body
    labels = complete_labels(organs.voxels, find_tissue(BodyImage(scan.voxels, scan.spacing[::-1])))
    anatomy, mask = organs.with_voxels(labels), np.zeros(labels.shape, np.uint8)
    mask[place : place + 2, 20:23, 25:28] = 1
    tasks = {"inpaint-lesion": {"spacing_mm": None}}
    model = replace(tiny_model_with_controls, config=tiny_model_with_controls.config | {"tasks": tasks})
    asked = {"quality": "fast", "seed": 3}
    made = generate_lesion(anatomy, organs.with_voxels(mask), model, **asked, synthesis_steps=3, steps=2, resample=1)
    healthy = synthesize(anatomy, model, **asked, steps=3)
    assert made.facts.region == NAMES
    assert made.facts.lesion.region == region
    assert made.facts.lesion.window_hu == list(REGIONS[region].window)
    changed = made.volumes[0].voxels != healthy.volumes[0].voxels
    assert changed[mask > 0].any() and not changed[mask == 0].any()


def test_the_kind_of_a_lesion_is_that_of_its_region(body, tmp_path):
    """A model that draws in lungs and liver: "auto" is the kind of the place, in look and run, before the long part."""
    scan, organs = body
    labels = complete_labels(organs.voxels, find_tissue(BodyImage(scan.voxels, scan.spacing[::-1])))
    folder = save_tiny_controls(save_tiny_model(tmp_path / "model", patch=16))
    shutil.copytree(folder / "controlnets" / "lesion-lung", folder / "controlnets" / "lesion-liver")
    model = load_model(folder, device="cpu", precision="float32")
    events, mask = [], np.zeros(labels.shape, np.uint8)
    mask[29:31, 20:23, 25:28] = 1
    for call in (look_lesion, generate_lesion):
        with pytest.raises(InputError, match="none is the usual one of head-neck: choose with --kind"):
            call(organs.with_voxels(labels), organs.with_voxels(mask), model, events.append, quality="fast")
    assert not [now for now in events if now.fraction > 0]
