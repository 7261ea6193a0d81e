"""States as files, and the commands' refusals and dry run."""

from dataclasses import replace

import pytest
import torch
from tiny_model import TINY

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.commands.train.pretrain import pretrain
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.learn.checkpoint import read_state
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.trainer import Trainer

CONFIG = PretrainConfig(network=TINY, crops=CropConfig(patch=(8, 16, 16)), steps=2, accumulate=1, save_every=1)


def _command(tmp_path, store, config, **options):
    path = tmp_path / "settings.json"
    path.write_text(config.to_json())
    pretrain(store, tmp_path / "run", path, **{"device": "cpu", "workers": 0, "start_from": None, **options})


def test_a_state_from_before_these_switches_is_restored(train_cases, tmp_path):
    trainer = Trainer(CONFIG, train_cases, tmp_path)
    trainer.save()
    state = read_state(tmp_path / "last.pt")
    old = {name: state[name] for name in ("network", "average", "optimizer", "step")} | {"step": 7}
    torch.save(old, tmp_path / "old.pt")
    trainer.restore(tmp_path / "old.pt")
    assert trainer.step == 7


def test_what_is_no_state_or_another_networks_is_refused(train_cases, tmp_path):
    trainer = Trainer(CONFIG, train_cases, tmp_path)
    (tmp_path / "text.pt").write_text("no state")
    with pytest.raises(InputError, match="not the state of a run"):
        trainer.restore(tmp_path / "text.pt")
    trainer.save()
    wider = Trainer(replace(CONFIG, network=replace(TINY, channels=(8, 16, 16))), train_cases, tmp_path)
    with pytest.raises(InputError, match="another network"):
        wider.restore(tmp_path / "last.pt")


def test_a_run_folder_of_other_settings_is_refused(two_cases, tmp_path):
    """More steps, another learning rate, precision and batch 2 × 1 for 1 × 2 are the same run; another loss weight is
    not.
    """
    config = replace(CONFIG, batch=1, accumulate=2, steps=1)
    _command(tmp_path, two_cases, config)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    with pytest.raises(InputError, match=r"other settings \(min_snr\)"):
        _command(tmp_path, two_cases, replace(config, min_snr=5.0))
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    other = replace(config, batch=2, accumulate=1, steps=2, learning_rate=2e-4, precision="bfloat16")
    _command(tmp_path, two_cases, other)
    assert read_state(tmp_path / "run" / "last.pt")["step"] == 2


def test_a_dry_run_measures_and_writes_nothing(two_cases, tmp_path, capsys):
    _command(tmp_path, two_cases, CONFIG, dry_run=True)
    said = capsys.readouterr().out
    parameters = sum(p.numel() for p in Trainer(CONFIG, [], tmp_path).network.parameters())
    assert f"{parameters:,}" in said and "1 × 32 × 8 × 16 × 16" in said and "2 updates" in said
    assert "activations" in said and "samples a second" in said
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_a_missing_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        _command(tmp_path, tmp_path / "nowhere", CONFIG)
    assert not (tmp_path / "run").exists()
