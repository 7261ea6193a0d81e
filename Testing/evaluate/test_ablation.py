"""`meddiff-fm evaluate ablation`: which row a model is, and the paper's Table III beside ours."""

import dataclasses
import json

import pytest
import torch
from tiny_model import TINY

pytest.importorskip("medmetric", reason="medmetric is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.networks.unet import Denoiser
from MedDiffFMTraining.evaluate.reports.paper import TABLE_III, TABLE_IV
from MedDiffFMTraining.evaluate.tasks.ablation import ROWS, components_of

PARTS = {
    "patch": ("none", [0, 0, 1, 0]),
    "multi-level": ("none", [1, 1, 1, 0]),
    "position": ("coordinates", [1, 1, 1, 0]),
    "encoding": ("encoding", [1, 1, 1, 0]),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model for each row, of random weights."""
    made, home = {}, tmp_path_factory.mktemp("ablation")
    for name, (position, levels) in PARTS.items():
        torch.manual_seed(0)
        config = dataclasses.replace(TINY, patch=16, position=position)
        training = {"config": {"crops": {"levels": levels}}}
        record = model_config(name, config, training=training)
        made[name] = save_model_folder(home / name, Denoiser(config).state_dict(), record)
    return made


def test_a_models_settings_tell_its_row(folders):
    """In the table's order, whatever the order of the models."""
    found = components_of(list(folders.values())[::-1])
    assert list(found) == list(ROWS) and [path.name for path in found.values()] == list(PARTS)


def test_two_models_of_one_row_are_refused(folders):
    with pytest.raises(InputError, match="are both 'patch-level baseline': name one model"):
        components_of([folders["patch"], folders["position"], folders["patch"]])


def test_a_model_without_its_levels_is_refused(folders, tmp_path):
    config = dataclasses.replace(TINY, position="none")
    folder = save_model_folder(tmp_path / "bare", Denoiser(config).state_dict(), model_config("bare", config))
    with pytest.raises(InputError, match="does not say at which levels it was trained"):
        components_of([folder])


def test_the_papers_tables_agree_where_they_are_the_same():
    """The baseline of Table III is Table IV's DDPM, and its last row MedDiff-FM."""
    for region in ("head-neck", "chest", "abdomen", "overall"):
        assert TABLE_III[region, ROWS[0]] == TABLE_IV[region, "DDPM"]
        assert TABLE_III[region, ROWS[3]] == TABLE_IV[region, "MedDiff-FM"]


def test_the_table(folders, run, tmp_path):
    """Two models of four, on 60 mm of the repository's abdomen: a line of each, painted labels once, the paper's."""
    options = ("--cases", "abd_ts_example:abdomen", "--spacing", 6, "--slab", 60, "--steps", 2, "--segmenter", "tissue")
    files = (folders["encoding"], folders["patch"])
    json_file = ("--json", tmp_path / "table.json")
    text = " ".join(run("evaluate", "ablation", *files, *options, "--features", "none", *json_file).split())
    assert "Table III" in text and "after a short run on few volumes the order may be chance" in text
    assert "0.7991" not in text and "0.8524" in text
    report = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    methods = [case["method"] for case in report["cases"]]
    assert methods == ["patch-level baseline", "+ position embedding", "labels in their median HU"]
    assert [fact["model"] for fact in report["models"].values()] == ["patch", "encoding"]
    assert report["quality"] == "paper"
