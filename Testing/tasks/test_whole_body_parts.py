"""The other tasks on a whole-body scan: each part in its own region, joined without a seam."""

from dataclasses import replace

import numpy as np
import pytest
from whole_body import whole_body

from MedDiffFMLib.anatomy import body_mask, complete_labels, find_tissue
from MedDiffFMLib.body_parts import split_body, split_labels
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies
from MedDiffFMLib.tasks.in_parts import part_of
from MedDiffFMLib.tasks.super_resolve import look as look_thin
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.tasks.synthesize import look as look_labels
from MedDiffFMLib.tasks.synthesize import synthesize

NAMES = "abdomen + chest + head-neck"


@pytest.fixture(scope="module")
def body(data):
    """The scan and the organs of its abdomen, as volumes in RAS order."""
    scan, organs = whole_body(data)
    return scan, scan.with_voxels(organs)


def test_thin_slices_of_a_whole_body(body, tiny_model):
    """Thick slices stay the means; where one part alone counts, it is that part done by itself."""
    scan = body[0]
    made = super_resolve(scan, tiny_model, factor=2, quality="fast", control="none")
    assert made.facts["region"] == NAMES and len(made.facts["parts"]) == 3
    told = look_thin(scan, tiny_model, factor=2, quality="fast", control="none")
    assert {key: told[key] for key in ("region", "network_evaluations")}.items() <= made.facts.items()
    thin = made.volume.voxels.astype(float)
    assert np.array_equal(thin.reshape(-1, 2, *thin.shape[1:]).mean(axis=1), scan.voxels)
    parts = split_body(scan.voxels, scan.spacing[::-1], body_mask(scan.voxels))
    for part in parts:
        alone = super_resolve(
            part_of(scan, part), tiny_model, factor=2, quality="fast", control="none", region=part.region.name
        )
        core = part.weights == 1
        assert core.sum() >= 3
        ours = thin[2 * part.start : 2 * part.stop].reshape(-1, 2, *thin.shape[1:])
        theirs = alone.volume.voxels.reshape(-1, 2, *thin.shape[1:])
        assert np.array_equal(ours[core], theirs[core])


def test_a_whole_body_is_synthesized_in_parts(body, tiny_model):
    scan, organs = body
    mask = body_mask(scan.voxels)
    labels = complete_labels(organs.voxels, find_tissue(scan.voxels, scan.spacing[::-1], mask))
    anatomy = replace(organs, voxels=labels)
    told = []
    made = synthesize(anatomy, tiny_model, lambda now: told.append(now.fraction), quality="fast", steps=3)
    assert made.facts["region"] == NAMES
    found = look_labels(anatomy, tiny_model, quality="fast", steps=3)
    assert {key: found[key] for key in ("region", "network_evaluations")}.items() <= made.facts.items()
    assert told == sorted(told) and told[-1] == 1
    parts = split_labels(labels, scan.spacing[::-1])
    assert [part.region.name for part in parts] == NAMES.split(" + ")
    for part in parts:
        alone = synthesize(part_of(anatomy, part), tiny_model, quality="fast", steps=3, region=part.region.name)
        core = part.weights == 1
        assert np.array_equal(made.volumes[0].voxels[part.z][core], alone.volumes[0].voxels[core])


@pytest.mark.parametrize(("organ", "region"), [("liver", "abdomen"), ("lungs", "chest")])
def test_detection_takes_the_region_of_the_organ(body, tiny_model, organ, region):
    scan, organs = body
    model = replace(tiny_model, config={"tasks": {"detect-anomalies": {"spacing_mm": None}}})
    assert detect_anomalies(scan, model, organs, organ=organ, draws=1).facts["region"] == region
