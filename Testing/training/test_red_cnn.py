"""RED-CNN as a baseline: its shape by hand, that it learns from simulated noise, goes on where it was, and refuses."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.pairs import draw_low_dose
from MedDiffFMTraining.data.store import Case, write_noise
from MedDiffFMTraining.learn.red_cnn import (
    RedCnn,
    RedCnnConfig,
    RedCnnTrainer,
    denoise_slices,
    load_red_cnn,
    start_run,
)

CONFIG = RedCnnConfig(filters=8, crop=(4, 32, 32), batch=2, steps=60, learning_rate=2e-3, save_every=20)


@pytest.fixture
def noisy_cases(train_cases) -> list[Case]:
    """The cases, their noise white and of 30 HU."""
    for case in train_cases:
        if case.noise is None:
            write_noise(case, np.random.default_rng(0).normal(0, 30, case.hu.box().shape))
    return [Case(case.folder) for case in train_cases]


def test_ten_layers_of_5_by_5_with_three_shortcuts():
    """With all weights zero the shortcut from the input is all there is: the same image, and of the same HU."""
    network = RedCnn(6)
    assert [tuple(layer.weight.shape) for layer in network.down] == [(6, 1, 5, 5), *[(6, 6, 5, 5)] * 4]
    assert [tuple(layer.weight.shape) for layer in network.up] == [*[(6, 6, 5, 5)] * 4, (6, 1, 5, 5)]
    for weights in network.parameters():
        torch.nn.init.zeros_(weights)
    hu = np.random.default_rng(0).integers(-1000, 3000, (2, 21, 33)).astype(np.int16)
    np.testing.assert_allclose(denoise_slices(network, hu), hu, atol=1e-3)


def test_each_shortcut_leads_from_its_own_size():
    """A second and a fourth convolution's features return where the image has their size: 17 and 9 of 25 pixels."""
    network, seen = RedCnn(2), {}
    for i, layer in enumerate(network.up):
        layer.register_forward_hook(lambda module, inputs, output, i=i: seen.update({i: output.shape[-1]}))
    network(torch.zeros(1, 1, 25, 25))
    assert seen == {0: 9, 1: 13, 2: 17, 3: 21, 4: 25}


def test_it_learns_from_noisy_crops(noisy_cases, tmp_path):
    """What it is given is the crop with the case's noise, of 19 to 40 HU; 40 updates halve the error of a
    crop that it never saw.
    """
    trainer = RedCnnTrainer(CONFIG, noisy_cases, tmp_path)
    crop = draw_low_dose(np.random.default_rng(99), noisy_cases[0], (4, 48, 48))
    assert 19 < float(np.std((crop.low - crop.full)[crop.body])) < 40

    def error() -> float:
        return float(np.square(denoise_slices(trainer.network, crop.low) - crop.full).mean()) ** 0.5

    before = error()
    for _ in range(40):
        trainer.update()
    assert error() < before / 2


def test_a_stopped_run_goes_on_as_if_it_had_not(noisy_cases, tmp_path):
    whole, first = (RedCnnTrainer(CONFIG, noisy_cases, tmp_path / name) for name in ("whole", "first"))
    start_run(CONFIG, tmp_path / "first")
    losses = [whole.update() for _ in range(4)]
    assert [first.update() for _ in range(2)] == losses[:2]
    first.save()
    again = RedCnnTrainer(CONFIG, noisy_cases, tmp_path / "first")
    again.restore()
    assert [again.update() for _ in range(2)] == losses[2:]
    loaded = load_red_cnn(tmp_path / "first").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in first.network.state_dict().items())
    with pytest.raises(InputError, match=r"other settings \(filters\): name another folder"):
        start_run(dataclasses.replace(CONFIG, filters=4), tmp_path / "first")


def test_refusals(train_cases, tmp_path):
    with pytest.raises(InputError, match="holds no RED-CNN"):
        load_red_cnn(tmp_path)
    with pytest.raises(InputError, match="21 pixels or more in plane"):
        RedCnnConfig(crop=(4, 16, 64))
    (tmp_path / "wrong.json").write_text(json.dumps({"filter": 96}))
    with pytest.raises(InputError, match="unknown settings"):
        RedCnnConfig.from_json(tmp_path / "wrong.json")
    quiet = [case for case in train_cases if case.noise is None]
    with pytest.raises(InputError, match="run train simulate-noise first"):
        RedCnnTrainer(CONFIG, quiet[:0], tmp_path)
