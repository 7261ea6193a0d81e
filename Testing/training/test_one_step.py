"""A ControlNet that restores thin slices in one evaluation: its crops, its loss, its run, and its use."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from small_store import add_case
from tiny_model import save_tiny_controls, save_tiny_model

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.diffusion.schedule import cosine_schedule
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.controlnet_folder import load_controlnet, save_controlnet
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.conditions import Conditions
from MedDiffFMLib.networks.unet import v_target
from MedDiffFMLib.tasks.one_step_slices import noiseless_start
from MedDiffFMLib.tasks.super_resolve import look, super_resolve
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.data.crop import Crop, Slices
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.store import CaseFacts, open_store, write_case
from MedDiffFMTraining.data.thick_crops import depth, draw_thick_crop
from MedDiffFMTraining.learn.batches import TrainingBatch, draw_batch
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.export import export_control, read_run, write_facts
from MedDiffFMTraining.learn.finetune import ControlTrainer
from MedDiffFMTraining.learn.one_step import one_step_loss
from MedDiffFMTraining.learn.pretrain import pretrain

CROPS = CropConfig(patch=(16, 16, 16), levels=(0, 0, 0, 1), target="thick-slices", factors=(5, 2), flipped=0.5)
CONFIG = PretrainConfig(crops=CROPS, steps=4, batch=2, accumulate=1, learning_rate=2e-3, direct_t=300)
SCHEDULE = cosine_schedule()
NAME = "super-resolution-direct"


@pytest.fixture(scope="module")
def cases(data, tmp_path_factory):
    """A real abdomen to train with, and the same to validate with."""
    folder = tmp_path_factory.mktemp("direct") / "store"
    image = sitk.ReadImage(str(data / "abd_ts_example.nii.gz"))
    facts = CaseFacts("abdomen", "a", "abdomen", tuple(image.GetSpacing()[::-1]), 10.0, True)
    add_case(folder, "train", facts, image, None)
    return open_store(folder, "train")


@pytest.fixture
def ramp(tmp_path):
    """HU = z + 3y + 5x, so that a difference tells the axis and its direction."""
    z, y, x = np.ogrid[:24, :20, :20]
    facts = CaseFacts("ramp", "r", "abdomen", (1.0, 1.0, 1.0), 0.0, True)
    write_case(tmp_path / "ramp", "train", facts, z + 3 * y + 5 * x - 100, np.full((24, 20, 20), 118, np.uint8))
    return open_store(tmp_path / "ramp", "train")


def test_depth_by_hand():
    assert [depth(f, 40, 8) for f in (2, 3, 4, 5, 6)] == [40, 48, 40, 40, 48]


@pytest.mark.parametrize(("turned", "along"), [(0.0, {1}), (1.0, {3, 5})])
def test_slices_are_cut_along_the_axis_that_is_asked_for(ramp, turned, along):
    config = replace(CROPS, turned=(("ramp", turned),), flipped=0.0, keep_position=1.0)
    steps = set()
    for seed in range(12):
        crop = draw_thick_crop(np.random.default_rng(seed), ramp, config, 2, 8)
        hu = (crop.slices.thin[0] + 1) * 180 - 120
        steps |= {round(float(v)) for v in hu.diff(dim=0).unique()}
        assert crop.placed == (not turned)
    assert steps == along


def test_mirrored_crops_are_mirrored_and_not_placed(ramp):
    config = replace(CROPS, flipped=1.0, keep_position=1.0)
    for seed in range(12):
        crop = draw_thick_crop(np.random.default_rng(seed), ramp, config, 2, 8)
        hu = (crop.slices.thin[0] + 1) * 180 - 120
        signs = [int(torch.sign(hu.diff(dim=axis)).mean()) for axis in range(3)]
        assert crop.placed == (signs == [1, 1, 1])


def test_what_is_told_and_where_it_starts(cases):
    """Told: each thick slice, a mean of the thin ones' HU, repeated. x_t: the library's own start of those slices."""
    batch = draw_batch(cases, CONFIG, SCHEDULE, 6)
    alpha = float(SCHEDULE.alpha_bar[300])
    for crop, x_t in zip(batch.crops, batch.x_t, strict=True):
        hu, f = (crop.slices.thin[0].numpy() + 1) * 180 - 120, crop.slices.factor
        thick = hu.reshape(-1, f, 16, 16).mean(axis=1)
        assert np.allclose((crop.target[0].numpy() + 1) * 180 - 120, np.repeat(thick, f, 0).clip(-120, 240), atol=0.01)
        start = noiseless_start(torch.from_numpy(thick), f, -3, REGIONS["abdomen"].window, alpha)
        assert torch.allclose(x_t[0], start, atol=1e-4)
    mixed = alpha**0.5 * torch.stack([crop.x0 for crop in batch.crops]) + (1 - alpha) ** 0.5 * batch.eps
    assert torch.allclose(batch.x_t, mixed, atol=1e-5)


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_the_truth_costs_nothing_and_one_voxel_what_it_should(prediction):
    """Nor does the truth with other means: the means are set. One voxel of a block of two off by 0.2 becomes 0.1 at
    both; outside the body nothing counts.
    """
    generator = torch.Generator().manual_seed(0)
    thin = torch.rand(1, 8, 4, 4, generator=generator) - 0.5
    body = torch.zeros(1, 8, 4, 4, dtype=torch.bool)
    body[:, :, :2] = True
    crop = Crop(thin, (), False, torch.zeros(8, 4, 4), 0, "own", slices=Slices(thin, body, 2))
    alpha = SCHEDULE.alpha_bar[300]
    x_t = alpha**0.5 * crop.slices.spline
    batch = TrainingBatch(x_t[None], x_t[None], torch.tensor([300]), [crop])

    def loss(x0: torch.Tensor) -> float:
        epsilon = (x_t - alpha**0.5 * x0) / (1 - alpha) ** 0.5
        output = v_target(x0, epsilon, torch.tensor(alpha)) if prediction == "v" else epsilon
        return float(one_step_loss(output[None].float(), batch, float(alpha), prediction))

    assert loss(thin) == pytest.approx(0, abs=1e-5)
    shift = torch.randn(1, 4, 4, 4, generator=generator).repeat_interleave(2, 1)
    assert loss(thin + shift) == pytest.approx(0, abs=1e-5)
    off, outside = thin.clone(), thin.clone()
    off[0, 3, 1, 1] += 0.2
    outside[0, 3, 3, 1] += 0.2
    assert loss(off) == pytest.approx(2 * (0.1 + 10 * 0.01) / 64, rel=1e-3)
    assert loss(outside) == pytest.approx(0, abs=1e-5)


def test_only_the_control_learns_and_it_lowers_the_loss(cases, tmp_path):
    base = save_tiny_model(tmp_path / "model")
    trainer = ControlTrainer(replace(CONFIG, steps=20), cases, tmp_path / "run", base, validation=cases)
    locked = {name: value.clone() for name, value in trainer.base.state_dict().items()}
    batch = draw_batch(cases, trainer.config, trainer.schedule, 1000)
    with torch.no_grad():
        before = trainer.losses(batch).mean()
    for _ in range(20):
        trainer.update([batch])
    with torch.no_grad():
        after = trainer.losses(batch).mean()
    assert after < 0.9 * before
    assert all(torch.equal(value, locked[name]) for name, value in trainer.base.state_dict().items())


def test_a_stopped_run_goes_on_identically_and_is_validated(cases, tmp_path):
    base, losses = save_tiny_model(tmp_path / "model"), {}
    config = replace(CONFIG, validate_every=4, validate_crops=2)
    for name, stops in (("whole", [4]), ("parts", [2, 4])):
        losses[name] = []
        for stop in stops:
            trainer = ControlTrainer(config, cases, tmp_path / name, base, validation=cases)
            if (tmp_path / name / "last.pt").exists():
                trainer.restore(tmp_path / name / "last.pt")
            log = losses[name].append
            pretrain(trainer, log, lambda t=trainer, s=stop: t.step >= s)
    bare = [[(row["loss"], row.get("validation/loss")) for row in rows] for rows in losses.values()]
    assert bare[0] == bare[1] and len(bare[0]) == 4 and bare[0][-1][1] > 0


def test_the_exported_control_is_used_by_all_but_the_papers_quality(cases, data, tmp_path):
    """One evaluation of each window, or four, without chance; a number of steps, or `paper`, walks; means hold."""
    base = save_tiny_controls(save_tiny_model(tmp_path / "model"))
    trainer = ControlTrainer(replace(CONFIG, steps=1), cases, tmp_path / "run", base)
    pretrain(trainer, lambda row: None)
    (tmp_path / "run" / "config.json").write_text(trainer.config.to_json(), encoding="utf-8")
    write_facts(trainer)
    export_control(read_run(tmp_path / "run" / "last.pt", tmp_path / "run" / "config.json"), base, NAME)
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()[8:30, 48:72, 50:56]
    image.SetSpacing((1.5, 1.25, 5.0))
    thick, model = Volume.from_sitk(image, "abdomen"), load_model(base, device="cpu", precision="float32")
    assert load_controlnet(model, NAME).config.direct_t == 300

    def run(**asked) -> tuple[np.ndarray, dict]:
        result = super_resolve(thick, model, region="abdomen", factor=5, **asked)
        return result.volume.voxels, result.facts

    voxels, facts = run(seed=1, quality="fast")
    assert facts.control == NAME and facts.regions[0].timesteps == [300]
    assert facts.network_evaluations == facts.windows > 0
    assert np.array_equal(voxels, run(seed=2, quality="fast")[0])
    np.testing.assert_allclose(voxels.reshape(6, 5, 24, 22).mean(axis=1), thick.voxels, atol=1e-9)
    assert run()[1].regions[0].timesteps == [300] * 4
    found = look(thick, model, region="abdomen", factor=5)
    assert found["network_evaluations"] == 4 * facts.network_evaluations and found["seconds_each"] > 0
    assert run(steps=1)[1].control == run(quality="paper", steps=1)[1].control == "super-resolution"
    assert run(control="none", quality="fast")[1].control == "none"
    # another target gives another image
    control = trainer.average.module
    for weights in control.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    save_controlnet(base, NAME, control)
    assert not np.array_equal(run(quality="fast")[0], voxels)


def test_mirror_images_are_averaged_where_they_belong(data, tmp_path, monkeypatch):
    """A scan and its mirror image give mirror images of one result, if all four are averaged and no place is given."""
    base = save_tiny_controls(save_tiny_model(tmp_path / "model", patch=24))
    control = load_controlnet(load_model(base, device="cpu", precision="float32"), "super-resolution")
    control.config = replace(control.config, kind="thick-slices", direct_t=300)
    save_controlnet(base, NAME, control)
    model = load_model(base, device="cpu", precision="float32")
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()[8:32, 48:72, 50:54]
    image.SetSpacing((1.5, 1.5, 5.0))
    thick = Volume.from_sitk(image, "abdomen")
    monkeypatch.setattr("MedDiffFMLib.tasks.scan.Conditions", partial(Conditions, placed=False))

    def run(volume: Volume, quality: str = "balanced") -> np.ndarray:
        return super_resolve(volume, model, region="abdomen", factor=2, quality=quality).volume.voxels

    def mirrored(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[::-1, :, ::-1])

    floats = thick.with_voxels(thick.voxels.astype(np.float32))
    other = floats.with_voxels(mirrored(floats.voxels))
    np.testing.assert_allclose(mirrored(run(other)), run(floats), atol=0.05)
    assert np.abs(mirrored(run(other, "fast")) - run(floats, "fast")).max() > 1


def test_settings_that_cannot_be(cases):
    with pytest.raises(InputError, match="direct_t"):
        replace(CONFIG, direct_t=990)
    with pytest.raises(InputError, match="turned"):
        replace(CROPS, turned=(("abdomen", 1.5),))
    with pytest.raises(InputError, match="flipped"):
        replace(CROPS, flipped=2)
