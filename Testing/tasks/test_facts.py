"""Facts are typed where they are made, and one flat dict in the provenance, whatever the number of regions."""

from dataclasses import FrozenInstanceError, replace

import pytest

from MedDiffFMLib.tasks.facts import DenoiseFacts, RegionFacts, SuperResolveFacts, SynthesizedRegion, SynthesizeFacts

CHEST = RegionFacts("chest", [-1000.0, 400.0], [400, 0], 3, 1, 6, [0.0, 100.0])
ABDOMEN = RegionFacts("abdomen", [-160.0, 240.0], [400, 0], 2, 0, 4, [-80.0, 0.0])
THIN = SuperResolveFacts(
    "axial", 2, [4, 8], [5.0, 2.5], None, 5.0, "dicom", "profile", 0.0, "auto", "none", "none", [CHEST]
)
DENOISED = DenoiseFacts(20.0, 31.0, None, 70.0, {}, {}, {}, "auto", "own", 0.5, "none", "none", [CHEST])


@pytest.mark.parametrize("facts", [DENOISED, THIN])
def test_one_region_lies_among_the_others(facts):
    made = facts.to_dict()
    assert made["region"] == "chest" and made["timesteps"] == [400, 0] and made["network_evaluations"] == 6
    assert not {"regions", "parts", "mm_superior"} & set(made)


@pytest.mark.parametrize("facts", [DENOISED, THIN])
def test_several_regions_are_parts_and_count_together(facts):
    both = replace(facts, regions=[ABDOMEN, CHEST])
    made = both.to_dict()
    assert made["region"] == both.region == "abdomen + chest"
    assert (made["windows"], made["windows_of_air"], made["network_evaluations"]) == (5, 1, 10)
    assert [part["region"] for part in made["parts"]] == ["abdomen", "chest"]
    assert made["parts"][1] == CHEST.to_dict() and made["parts"][1]["mm_superior"] == [0.0, 100.0]
    assert not {"window_hu", "timesteps", "regions"} & set(made)  # they differ from region to region
    whole, one = set(made) - {"parts"}, set(facts.to_dict()) - {"window_hu", "timesteps"}
    assert whole == one


def test_samples_of_several_regions():
    chest = SynthesizedRegion("chest", [-1000.0, 400.0], "ddim", "noise", [], 6)
    facts = SynthesizeFacts("given", [3], [replace(chest, region="abdomen"), chest])
    made = facts.to_dict()
    assert made["network_evaluations"] == 12 and made["begun_from"] == "noise" and len(made["parts"]) == 2


def test_facts_do_not_change():
    with pytest.raises(FrozenInstanceError):
        CHEST.windows = 4
