"""Every task computes what it computed: the same voxels and facts for the same seed (see `cases`)."""

import pytest
from golden import digest
from golden.cases import CASES, make_inputs, make_models, run


@pytest.fixture(scope="module")
def golden():
    return digest.read()


@pytest.fixture(scope="module")
def inputs(data):
    return make_inputs(data)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_voxels_and_facts_are_what_they_were(case, golden, inputs, models):
    made = digest.digest(*run(case, inputs, models))
    for told in ("region", "network_evaluations"):
        assert made["look"][told] == made["facts"][told]
    exact = golden["made"] == digest.where_made()
    told = digest.differences(made, golden["cases"][case.name], exact)
    assert not told, "\n".join([f"{case.name} is no longer what it was:", *told[:20]])


def test_no_record_is_of_a_case_that_is_gone(golden):
    assert list(golden["cases"]) == [case.name for case in CASES]
