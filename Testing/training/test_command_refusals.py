"""What a lab may get wrong on the training's command line: exit code 2, one sentence, and nothing written."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from tiny_model import TINY, save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.folder import save_model_folder
from MedDiffFMTraining.__main__ import main
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.trainer import Trainer

CONFIG = PretrainConfig(network=TINY, crops=CropConfig(patch=(8, 16, 16)), steps=1, accumulate=1)
ZERO = [["abd_ts_example", 0]]


@pytest.fixture
def place(tmp_path, train_cases, two_cases, monkeypatch):
    """A folder with settings, a state, a model and things that are none of them; the store is `store`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").symlink_to(two_cases)
    (tmp_path / "settings.json").write_text(CONFIG.to_json())
    Trainer(CONFIG, train_cases, tmp_path / "run").save()
    (tmp_path / "run" / "config.json").write_text(CONFIG.to_json())
    save_tiny_model(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear to somebody")
    (tmp_path / "text").write_bytes(b"\x80 text")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "index.json").write_text('{"a": {"region": "leg"}}')
    (tmp_path / "labels.json").write_text("{}")
    return tmp_path


def refused(place, capsys, monkeypatch, *words: str) -> str:
    """The one sentence of a refused command."""
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    monkeypatch.setattr(sys, "argv", ["train", *words])
    assert main() == 2
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
    said = capsys.readouterr().err
    assert said.startswith("meddiff-fm: ") and said.count("\n") == 1, said
    return said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("manifest . out.csv", "cannot be 'leg'"),
        ("pretrain store text --config settings.json", "text is a file"),
        ("pretrain store out --config settings.json --start-from empty", "empty is not a model folder"),
        ("finetune store out model --config settings.json", "must name the input of the ControlNet"),
        ("distill store out model --config settings.json --from 1024", "powers of two up to 512"),
        ("export run/last.pt run/config.json mine --overwrite", "holds other things than a model"),
        ("export run/last.pt run/config.json out --tasks list.json", "by the name of a task"),
        ("export run/last.pt run/config.json out --tasks text", "text cannot be read"),
        ("export run/last.pt run/config.json out --card text", "text cannot be read"),
    ],
)
def test_wrong_files_and_options(place, capsys, monkeypatch, command, words):
    assert words in refused(place, capsys, monkeypatch, *command.split())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"low_noise": 7}, "low_noise is 7 and must be a share from 0 to 1"),
        ({"decay_to": -3.0}, "decay_to is -3.0"),
        ({"low_sigma": [0.5, 0.1]}, "low_sigma is (0.5, 0.1)"),
        ({"crops": {"keep_organs": 9}}, "keep_organs is 9"),
        ({"crops": {"levels": [1, 1]}}, "levels is (1, 1)"),
        ({"crops": {"levels": [0, 0, 0, 0]}}, "levels is (0, 0, 0, 0)"),
        ({"crops": {"case_weights": [["a"]]}}, "case_weights is (('a',),)"),
        ({"crops": {"case_weights": ZERO}}, "leaves no case of the store"),
        ({"crops": {"target": "thick"}}, "target is 'thick'"),
        ({"crops": {"target": "thick-ct"}}, "is for train finetune alone"),
        ({"network": {"channels": [8, 8, 16], "norm_groups": 3}}, "multiple of norm_num_groups"),
    ],
)
def test_settings_that_cannot_be_trained_with(place, capsys, monkeypatch, settings, words):
    whole = json.loads(CONFIG.to_json())
    for name, value in settings.items():
        whole[name] = whole[name] | value if isinstance(value, dict) else value
    (place / "wrong.json").write_text(json.dumps(whole))
    assert words in refused(place, capsys, monkeypatch, "pretrain", "store", "out", "--config", "wrong.json")


def test_a_control_without_any_case_is_refused(place, capsys, monkeypatch):
    """No case of the store has a pair: said before the run's folder is there."""
    config = replace(CONFIG, crops=replace(CONFIG.crops, target="pair"))
    (place / "pair.json").write_text(config.to_json())
    words = ("finetune", "store", "out", "model", "--config", "pair.json")
    assert "'pair' needs" in refused(place, capsys, monkeypatch, *words)


def test_only_a_model_is_replaced_by_one(place):
    """Whoever calls it: a folder with anything else in it is left alone."""
    with pytest.raises(InputError, match="holds other things"):
        save_model_folder(place / "mine", {}, {}, overwrite=True)
    assert [path.name for path in (place / "mine").iterdir()] == ["thesis.txt"]
