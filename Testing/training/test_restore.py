"""Training of the restorer: clean volumes, patches, the loss, a run that goes on to the bit, and its export."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model

from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.models.loading import load_model
from MedDiffFMTraining.commands.train.restore import train
from MedDiffFMTraining.data.dead_leaves import RADII_MM, dead_leaves, radius, write_volumes
from MedDiffFMTraining.data.faint_discs import plant_discs
from MedDiffFMTraining.data.leaf_shapes import Canvas, paint_ellipsoid, paint_tube
from MedDiffFMTraining.data.noisy_patches import PatchConfig, PatchSource
from MedDiffFMTraining.data.spectral_noise import SpectralNoise
from MedDiffFMTraining.data.store import open_store
from MedDiffFMTraining.learn.restore import RestoreTrainer, export_restorer, training_scans
from MedDiffFMTraining.learn.restore_config import RestoreConfig
from MedDiffFMTraining.learn.restore_loss import pseudo_huber, restorer_loss, tissue_weights

CONFIG = RestoreConfig(
    (("abd_ts_example", 1.0),), places=2, patch=PatchConfig(edge=32), channels=(4, 4, 8, 8), steps=6, warmup=1
)


@pytest.fixture(scope="module")
def source(tmp_path_factory, train_cases) -> PatchSource:
    leaves = tmp_path_factory.mktemp("leaves")
    write_volumes(leaves, 2, seed=1, shape=(10, 40, 40))
    return PatchSource(training_scans(train_cases, CONFIG), open_store(leaves, "train"), SpectralNoise())


def test_leaves_have_the_hu_of_ct_and_no_noise():
    made = dead_leaves(np.random.default_rng(3), (8, 64, 64), (2.0, 0.8, 0.8))
    assert made.hu.shape == (8, 64, 64)
    assert made.hu.dtype == np.float32
    assert -1024 <= made.hu.min() < -50 and 100 < made.hu.max() <= 3071
    assert np.median(np.abs(np.diff(made.hu, axis=2))) < 8.0  # even nearly everywhere


def test_radii_fall_as_the_third_power():
    """P(r > 2·r_min) is 1/4, less what lies beyond the largest radius."""
    rng = np.random.default_rng(0)
    drawn = np.array([radius(rng) for _ in range(20000)])
    assert RADII_MM[0] <= drawn.min() and drawn.max() <= RADII_MM[1]
    assert np.mean(drawn > 2 * RADII_MM[0]) == pytest.approx(0.25, abs=0.01)


def test_an_ellipsoid_fills_its_volume():
    """A ball of 8 mm in voxels of 1 mm, 4/3·π·8³ mm³ of 100 HU."""
    canvas = Canvas(np.zeros((24, 24, 24), np.float32), (1.0, 1.0, 1.0))
    paint_ellipsoid(np.random.default_rng(0), canvas, np.array([12.0, 12, 12]), np.array([8.0, 8, 8]), 100.0)
    assert canvas.hu.sum() / 100 == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)
    assert canvas.hu.max() == 100


def test_a_vessel_is_as_wide_as_it_was_drawn():
    """2 mm across at most, in voxels of 0.5 mm: no disc of 2.6 mm fits into it."""
    canvas = Canvas(np.zeros((60, 60, 60), np.float32), (0.5, 0.5, 0.5))
    paint_tube(np.random.default_rng(1), canvas, np.array([15.0, 15, 15]), 1.0, 200.0)
    from scipy.ndimage import distance_transform_edt

    assert canvas.hu.max() == pytest.approx(200, abs=1)
    depth = distance_transform_edt(canvas.hu > 100, sampling=0.5)
    assert 0.7 <= depth.max() <= 1.3


def test_faint_discs_are_faint_and_count_three_times():
    hu = np.full((8, 40, 40), 50.0, np.float32)
    planted, emphasis = plant_discs(np.random.default_rng(0), hu, (2.0, 1.0, 1.0))
    change = np.abs(planted - hu)
    assert 3.0 <= change.max() <= 45.0  # three may lie over one another
    assert set(np.unique(emphasis)) == {1.0, 3.0}
    assert np.all(change[emphasis == 3.0] > 1.0)
    assert np.all(hu == 50.0)  # the truth that it was drawn from is left alone


@pytest.mark.parametrize("kind", range(3))
def test_a_patch_is_a_truth_with_noise(source, kind):
    """The middle slice's differences are the noise less what the truth differs from its mean: y, less the noise in HU,
    is the truth where nothing was clipped.
    """
    config = PatchConfig(edge=32, sources=tuple(float(kind == one) for one in range(3)), relative=0.0)
    patch = source.patch(np.random.default_rng(4), config)
    assert patch.features.shape == (2, 12, 32, 32)
    assert patch.noise.shape == patch.truth.shape == patch.emphasis.shape == (2, 32, 32)
    assert torch.isfinite(patch.features).all()
    assert 0.3 < float(patch.noise.std()) < 3.0


def test_patches_that_tell_neither_hu_nor_noise(source):
    config = PatchConfig(edge=32, relative=1.0)
    assert not source.patch(np.random.default_rng(4), config).features[:, 7:9].any()


def test_each_tissue_has_a_tenth_of_the_weight():
    """1000 pixels of soft tissue, 100 of bone, 1 of lung, 500 of air: bone rises to a tenth of all, lung only to ten
    times its one pixel, air counts a tenth.
    """
    truth = torch.cat([torch.full((n,), hu) for n, hu in ((1000, 40.0), (100, 800.0), (1, -800.0), (500, -1000.0))])
    weights = tissue_weights(truth)
    soft, bone, lung, air = weights[0], weights[1050], weights[1100], weights[-1]
    assert (float(soft), float(air), float(lung)) == (1.0, pytest.approx(0.1), 10.0)
    total = 1000 + 100 * bone + 10 + 50
    assert float(100 * bone / total) == pytest.approx(0.1, abs=0.001)


def test_the_loss_of_a_net_that_finds_nothing_and_of_one_that_finds_all():
    """Noise of ±0.1: pseudo-Huber is 0.01 but for 10⁻⁵, and coarse means of nothing found are all there was."""
    noise = 0.1 * torch.sign(torch.randn(2, 32, 32, generator=torch.Generator().manual_seed(0)))
    truth, ones = torch.full_like(noise, 40.0), torch.ones_like(noise)
    assert float(restorer_loss(noise, noise, truth, ones)) == 0.0
    assert float(restorer_loss(0 * noise, noise, truth, ones)) == pytest.approx(0.01 + 0.2, abs=1e-4)
    assert float(pseudo_huber(torch.tensor(300.0))) == pytest.approx(6 * 300 - 18, rel=1e-3)  # a line far out


def run(folder: Path, source: PatchSource, steps: int) -> list[float]:
    """The losses of the next updates of a run, which is saved at its end."""
    trainer = RestoreTrainer(CONFIG, folder, torch.device("cpu"))
    if (folder / "last.pt").exists():
        trainer.restore()
    batches = trainer.batches(source, workers=0)
    losses = [trainer.update(next(batches))["loss"] for _ in range(steps)]
    trainer.save()
    return losses


def test_a_stopped_run_goes_on_to_the_bit_and_is_exported(tmp_path, source):
    whole = run(tmp_path / "whole", source, 6)
    parts = run(tmp_path / "parts", source, 2) + run(tmp_path / "parts", source, 4)
    assert parts == whole
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")]
    for kind in ("network", "average"):
        assert all(torch.equal(states[0][kind][k], states[1][kind][k]) for k in states[0][kind])
    (tmp_path / "whole" / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    model = save_tiny_model(tmp_path / "tiny")
    export_restorer(tmp_path / "whole" / "last.pt", model)
    found = load_model(model, "cpu").restorer("low-dose")
    expected = states[0]["average"]["leave.weight"].half().float()
    assert torch.equal(found.leave.weight, expected)
    record = json.loads((model / "restorers" / "low-dose" / "config.json").read_text())
    assert record["training"]["steps"] == 6
    assert "base_sha256" not in record  # it depends on no other weights


def test_a_run_that_is_asked_to_stop_saves_its_last_update(tmp_path, source, monkeypatch):
    trainer = RestoreTrainer(CONFIG, tmp_path, torch.device("cpu"))
    update = trainer.update

    def interrupted(batch):
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(batch)

    monkeypatch.setattr(trainer, "update", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Cancelled, match="saved at step 3"):
        train(trainer, source, [], workers=0)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_settings_are_read_as_they_are_written(tmp_path):
    file = tmp_path / "restore.json"
    file.write_text(json.dumps(CONFIG.to_dict()))
    assert RestoreConfig.from_json(file) == CONFIG


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"patch": {"edge": 30}}, "edge"),
        ({"patch": {"sigma_hu": [9, 4]}}, "sigma_hu"),
        ({"kind": "low-dose"}, "settings that a restorer does not have"),
    ],
)
def test_settings_that_cannot_be(tmp_path, change, word):
    file = tmp_path / "restore.json"
    file.write_text(json.dumps(CONFIG.to_dict() | change))
    with pytest.raises(InputError, match=word):
        RestoreConfig.from_json(file)


def test_a_scan_that_the_store_lacks(train_cases):
    with pytest.raises(InputError, match="chest_x"):
        training_scans(train_cases, RestoreConfig((("chest_x", 1.0),)))
