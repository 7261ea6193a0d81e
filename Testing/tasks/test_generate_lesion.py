"""Lesion generation from a real label map: the synthetic anatomy with a lesion, and nothing else changed."""

from dataclasses import replace

import numpy as np
import pytest
from exact_model import ExactNetwork, Prior

from MedDiffFMLib.anatomy.lesion_masks import place_lesion
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.tasks.generate_lesion import generate_lesion, look
from MedDiffFMLib.tasks.synthesize import synthesize
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

LIVER = 5


@pytest.fixture(scope="module")
def anatomy(data) -> Volume:
    """The upper half of a real abdomen, every second voxel: 24 × 36 × 40 of 6 mm."""
    image = read_volume(data / "abd_ts_example_seg.nii.gz").to_sitk()
    return Volume.from_sitk(image[20:100:2, 14:86:2, 64:112:2], "organs.nii.gz")


@pytest.fixture(scope="module")
def mask(anatomy) -> Volume:
    return replace(place_lesion(anatomy, (LIVER,), 36.0, seed=1), source="mask.nii.gz")


@pytest.fixture(scope="module")
def model(tiny_model_with_controls):
    """Its network believes the liver to be 60 HU, other organs 20 HU, the rest −50 HU, all ± 5 HU: no lesion in sight,
    as it does not listen to the ControlNet, which is there."""
    prior = Prior(dict.fromkeys(range(1, 118), 20.0) | {LIVER: 60.0}, (-120.0, 240.0), other=-50.0)
    config = {"inpaint-lesion": {"spacing_mm": None, "steps": 12, "resample": 1, "blend_mm": 1.0}}
    config |= {"synthesize": {"fast": {"steps": 10}}}
    model = replace(tiny_model_with_controls, network=ExactNetwork(prior, patch=16))
    return replace(model, config=model.config | {"tasks": config})


OPTIONS = {"quality": "fast", "region": "abdomen", "seed": 5}


def test_outside_the_mask_it_is_the_synthetic_ct_of_the_same_seed(anatomy, mask, model):
    healthy = synthesize(anatomy, model, **OPTIONS, samples=2)
    result = generate_lesion(anatomy, mask, model, **OPTIONS, samples=2)
    inside = mask.voxels > 0
    for made, plain in zip(result.volumes, healthy.volumes, strict=True):
        assert made.voxels.dtype == np.int16 and made.same_grid(anatomy)
        assert np.array_equal(made.voxels[~inside], plain.voxels[~inside])
        assert np.mean(made.voxels[inside] != plain.voxels[inside]) > 0.5
    one, two = (v.voxels[inside].astype(float) for v in result.volumes)
    assert not np.array_equal(one, two)
    assert np.concatenate([one, two]).mean() == pytest.approx(60, abs=3)  # a liver's HU at the liver's place


def test_facts_tell_both_parts_and_their_cost(anatomy, mask, model):
    before = model.network.calls
    events = []
    result = generate_lesion(anatomy, mask, model, progress=events.append, **OPTIONS)
    assert model.network.calls - before == result.facts.network_evaluations
    lesion = result.facts.lesion
    assert lesion.kind == "lung" and lesion.lesion_ml == pytest.approx(mask.voxels.sum() * 0.216, abs=1e-3)
    assert lesion.network_evaluations == 12 * lesion.windows
    fractions = [p.fraction for p in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert "lesion of" in result.summary() and len(result.outputs()["output"]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mask: np.zeros_like(mask), "empty"),
        (lambda mask: np.where(np.arange(mask.shape[2]) == 0, 1, mask), "border"),
        (lambda mask: np.ones_like(mask), "ml"),
    ],
)
def test_a_wrong_mask_is_refused_before_anything_is_computed(anatomy, mask, model, change, words):
    before = model.network.calls
    with pytest.raises(InputError, match=words):
        generate_lesion(anatomy, replace(mask, voxels=change(mask.voxels)), model, **OPTIONS)
    with pytest.raises(InputError, match="one of lung"):
        generate_lesion(anatomy, mask, model, **OPTIONS, kind="liver")
    assert model.network.calls == before


def test_a_mask_outside_the_body_and_a_map_without_organs_are_refused(anatomy, mask, model):
    corner = np.zeros_like(mask.voxels)
    corner[10:13, 1:3, 1:3] = 1
    with pytest.raises(InputError, match="wholly outside the body"):
        generate_lesion(anatomy, replace(mask, voxels=corner), model, **OPTIONS)
    nothing = anatomy.with_voxels(np.zeros_like(anatomy.voxels))
    with pytest.raises(InputError, match=r"no labels|outside the body"):
        generate_lesion(nothing, mask, model, quality="fast")


def test_a_look_foretells_what_a_run_computes(anatomy, mask, model):
    found = look(anatomy, mask, model, **OPTIONS, samples=2)
    facts = generate_lesion(anatomy, mask, model, **OPTIONS, samples=2).facts
    assert found["region"] == facts.region and found["network_evaluations"] == facts.network_evaluations
    assert 0 < found["seconds_each"] < 60
