"""`train baseline`: RED-CNN and the plain DDPM by one name; the DDPM is trained by pre-training's own trainer."""

import json

import pytest
import typer
from training_runs import REPOSITORY
from typer.testing import CliRunner

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.commands.train import train_app
from MedDiffFMTraining.learn.config import PretrainConfig, is_plain, plain_ddpm

TINY = {"channels": [8, 8, 16], "attention_levels": [False, False, True], "head_channels": 8, "norm_groups": 8}
RECIPES = REPOSITORY / "Training" / "recipes"


def settings(folder, position="none", levels=(0, 0, 1, 0)):
    """A file of settings: two steps of a tiny network."""
    content = {
        "network": TINY | {"patch": 16, "position": position},
        "crops": {"patch": [16, 16, 16], "levels": list(levels), "keep_organs": 1.0, "keep_position": 1.0},
        "steps": 2, "accumulate": 1, "save_every": 1, "validate_every": 0, "sample_every": 0,
    }  # fmt: skip
    file = folder / "settings.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def call(*words):
    typer.main.get_command(train_app)([str(word) for word in words], standalone_mode=False)


def test_the_plain_ddpm_is_what_pretraining_makes_of_its_settings(two_cases, tmp_path):
    """The same losses and the same weights, to the bit."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra 'training')")
    file = settings(tmp_path)
    for name, command in (("ddpm", ("baseline", "ddpm")), ("pretrained", ("pretrain",))):
        call(*command, two_cases, tmp_path / name, "--config", file, "--device", "cpu", "--workers", 0)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("ddpm", "pretrained")
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 2
    saved = json.loads((tmp_path / "ddpm" / "config.json").read_text(encoding="utf-8"))
    assert saved["network"]["position"] == "none"


@pytest.mark.parametrize(("position", "levels"), [("encoding", (0, 0, 1, 0)), ("none", (1, 1, 1, 0))])
def test_settings_of_another_model_are_refused(two_cases, tmp_path, position, levels):
    with pytest.raises(InputError, match=r"is no plain DDPM: set network\.position to none and crops\.levels to"):
        call("baseline", "ddpm", two_cases, tmp_path / "run", "--config", settings(tmp_path, position, levels))
    assert not (tmp_path / "run").exists()


def test_the_recipes_and_the_defaults_are_plain():
    assert is_plain(plain_ddpm()) and not is_plain(PretrainConfig())
    recipes = {f.name: PretrainConfig.from_json(f) for size in ("base", "small") for f in RECIPES.glob(f"{size}/ab*")}
    assert [name for name, config in recipes.items() if is_plain(config)] == ["ablation-patch.json"]
    assert all(is_plain(PretrainConfig.from_json(RECIPES / size / "ablation-patch.json")) for size in ("base", "small"))


def test_both_baselines_are_there_by_one_name():
    shown = CliRunner().invoke(train_app, ["baseline", "--help"]).output
    assert "red-cnn" in shown and "ddpm" in shown
    assert "red-cnn" not in CliRunner().invoke(train_app, ["--help"]).output.replace("baseline", "").split()
