"""Every task computes what it computed: the same voxels and facts for the same seed (see `cases`)."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from golden import digest
from golden.cases import CASES, make_inputs, make_models, run

from MedDiffFMLib.volumes.volume import Volume


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
    for differences in ("region", "network_evaluations"):
        assert made["look"][differences] == made["facts"][differences]
    exact = golden["made"] == digest.where_made()
    differences = digest.differences(made, golden["cases"][case.name], exact)
    assert not differences, "\n".join([f"{case.name} is no longer what it was:", *differences[:20]])


def test_no_record_is_of_a_case_that_is_gone(golden):
    assert list(golden["cases"]) == [case.name for case in CASES]


# that a change is seen


@dataclass(frozen=True)
class Result:
    volume: Volume
    facts: SimpleNamespace

    def outputs(self) -> dict:
        return {"output": [self.volume]}


@pytest.fixture
def record(inputs):
    """The record of the chest with some of its voxels changed, and some of its facts."""

    def make(voxels=(), by: int = 0, **facts) -> dict:
        changed = inputs["chest"]["ct"].voxels.copy()
        changed[voxels] += by
        volume = inputs["chest"]["ct"].with_voxels(changed)
        differences = {"sigma_hu": 20.0, "windows": 9, **facts}
        return digest.digest(Result(volume, SimpleNamespace(to_dict=lambda: differences)), {"seconds": 1.0})

    return make


@pytest.mark.parametrize("exact", [True, False])
def test_equal_results_do_not_differ(record, exact):
    assert digest.differences(record(seconds_each=1.0), record(seconds_each=2.0), exact) == []


def test_one_voxel_is_seen_where_it_was_made_alone(record):
    one = record((0, 0, 0), 1)
    assert "sha256" in digest.differences(one, record(), True)[0] and digest.differences(one, record(), False) == []


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ({"voxels": (slice(0, 1), slice(0, 5), slice(0, 5)), "by": 3}, "block_means/0: "),
        ({"sigma_hu": 20.1}, "/facts/sigma_hu: 20.1, not 20.0"),
        ({"windows": 10}, "/facts/windows: 10, not 9"),
        ({"another": 1}, "/facts: keys"),
    ],
)
def test_a_change_is_seen_on_any_computer(record, change, differences):
    assert any(differences in line for line in digest.differences(record(**change), record(), False))


def test_keys_in_another_order_are_seen(record):
    first = record()
    assert digest.differences({**first, "facts": dict(reversed(first["facts"].items()))}, first, False)
