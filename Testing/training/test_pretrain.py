"""Pre-training in small on the repository's real CT: crops, the loss, and a resume that changes nothing."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from small_store import add_case

from MedDiffFMLib.diffusion.schedule import cosine_schedule
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.networks.condition_encoding import ConditionEncoding
from MedDiffFMLib.networks.position import encode_position, tile_axes
from MedDiffFMLib.networks.unet import NetworkConfig
from MedDiffFMTraining.data.boxes import read_box, resize
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import box_size, draw_crop, drop_anatomy
from MedDiffFMTraining.data.project_data import SPLIT, region_of, split_of
from MedDiffFMTraining.data.store import CaseFacts, open_store
from MedDiffFMTraining.learn.batches import draw_batch, draw_timestep
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.pretrain import pretrain
from MedDiffFMTraining.learn.trainer import Trainer

TINY = NetworkConfig(
    channels=(8, 8, 16), attention_levels=(False, False, True), head_channels=8, norm_groups=8, patch=16
)
CONFIG = PretrainConfig(
    network=TINY,
    crops=CropConfig(patch=(8, 16, 16), levels=(1, 1, 1, 1)),
    steps=6,
    batch=2,
    accumulate=2,
    learning_rate=1e-3,
    warmup=2,
    clip_norm=1.0,
    ema=0.999,
    precision="float32",
    seed=3,
)


@pytest.fixture(scope="module")
def store(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    for name, region in (("abd_ts_example", "abdomen"), ("chest_ts_aorta", "chest")):
        image = sitk.ReadImage(str(data / f"{name}.nii.gz"))[:, :, 40:80]
        labels = sitk.ReadImage(str(data / f"{name}_seg.nii.gz"))[:, :, 40:80]
        facts = CaseFacts(name, name, region, tuple(image.GetSpacing()[::-1]), 10.0, True)
        add_case(folder, "train", facts, image, labels)
    return folder


@pytest.fixture(scope="module")
def cases(store):
    return open_store(store, "train")


def test_store_is_ras_and_labels_the_rest_of_the_body(cases, data):
    case = cases[0]
    image = sitk.ReadImage(str(data / "abd_ts_example.nii.gz"))[:, :, 40:80]
    lps = sitk.GetArrayFromImage(image)
    assert np.array_equal(case.hu, lps[:, ::-1, ::-1])  # LPS to RAS turns x and y
    given = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "abd_ts_example_seg.nii.gz"))[:, :, 40:80])[:, ::-1, ::-1]
    labels = np.asarray(case.labels)
    assert np.array_equal(labels[given > 0], given[given > 0])
    rest = labels[given == 0]
    assert set(np.unique(rest)) == {0, 118, 119, 120, 121}  # body, lung, bone, gas
    hu = np.asarray(case.hu)[given == 0]
    assert hu[rest == 120].mean() > 100 > hu[rest == 118].mean() > -200 > hu[rest == 119].mean()


def test_test_patients_never_reach_the_store():
    assert split_of("abd_crlm1004") == split_of("head_aquilion2") == split_of("chest_lungfcp01") == "test"
    assert split_of("chest_ricord1012_thin") == "validation" and split_of("abd_acrin001b") == "train"
    assert not set(SPLIT["test"]) & set(SPLIT["validation"])
    assert region_of("head-neck + upper chest") == "head-neck" and region_of("pelvis (crop)") == "abdomen"


def test_boxes_of_the_levels(cases):
    """3 mm voxels, patch (8, 16, 16): 8 mm are 2.67 voxels, twice that 5.33."""
    case = cases[0]
    assert box_size("own", (8, 16, 16), case, binned=False) == [8, 16, 16]
    assert box_size("own", (8, 16, 16), case, binned=True) == [8, 32, 32]
    assert box_size("patch", (8, 16, 16), case, binned=False) == [3, 5, 5]
    assert box_size("double", (8, 16, 16), case, binned=False) == [5, 11, 11]
    assert box_size("image", (8, 16, 16), case, binned=False) == [40, 101, 122]


def test_resize_averages_what_shrinks_and_interpolates_what_grows():
    box = torch.tensor([0.0, 2.0, 4.0, 10.0]).reshape(1, 1, 4)
    assert resize(box, (1, 1, 2)).flatten().tolist() == [1.0, 7.0]
    assert resize(torch.tensor([0.0, 4.0]).reshape(1, 1, 2), (1, 1, 4)).flatten().tolist() == [0, 1, 3, 4]
    assert resize(box, (1, 1, 4)) is not None and torch.equal(resize(box, (1, 1, 4)), box)


def test_boxes_beyond_the_volume_are_air():
    array = np.arange(8).reshape(2, 2, 2)
    box = read_box(array, (-1, 0, 1), (2, 2, 2), fill=-5)
    assert box.tolist() == [[[-5, -5], [-5, -5]], [[1, -5], [3, -5]]]


def test_own_crops_are_voxels_of_the_scan_with_its_position(cases):
    config = CropConfig(patch=(8, 16, 16), levels=(0, 0, 0, 1), keep_position=1.0, keep_organs=1.0)
    crop = draw_crop(np.random.default_rng(5), cases[1:], config)
    hu = np.asarray(cases[1].hu, np.float32)
    x = (np.clip(hu, -1400, 400) + 500) / 900
    starts = [
        (z, y, x0)
        for z in range(hu.shape[0] - 7)
        for y in range(hu.shape[1] - 15)
        for x0 in range(hu.shape[2] - 15)
        if abs(x[z, y, x0] - crop.x0[0, 0, 0, 0].item()) < 1e-6
        and np.allclose(x[z : z + 8, y : y + 16, x0 : x0 + 16], crop.x0[0].numpy(), atol=1e-6)
    ]
    assert len(starts) == 1
    position, anatomy = crop.codes(ConditionEncoding())
    assert position.allclose(encode_position(*tile_axes(hu.shape, starts[0], (8, 16, 16), (1, 1, 1))), atol=1e-5)
    assert anatomy.shape == (7, 8, 16, 16)
    assert crop.region == 1


def test_image_level_spans_the_whole_frame(cases):
    """Half a sample (40/8/2 voxels less a half) inside the first voxel: p_z of the first sample by hand."""
    config = CropConfig(patch=(8, 16, 16), levels=(1, 0, 0, 0), keep_position=1.0)
    crop = draw_crop(np.random.default_rng(1), cases[:1], config)
    p_z = -((40 / 8 / 2 - 0.5) * 2 / 39 - 1)  # downwards
    assert crop.codes(ConditionEncoding(frequencies=1))[0][2, 0, 0, 0].item() == pytest.approx(
        math.sin(math.pi * p_z), abs=1e-5
    )
    whole = np.clip(np.asarray(cases[0].hu, np.float32), -1400, 2000)
    assert crop.x0.mean().item() < 0 and whole.shape == (40, 101, 122)


def test_anatomy_dropout_keeps_body_or_nothing():
    labels = np.array([0, 5, 118], np.uint8)
    seen = {tuple(drop_anatomy(np.random.default_rng(i), labels, 0.3)) for i in range(60)}
    assert seen == {(0, 5, 118), (0, 118, 118), (0, 0, 0)}


def test_timesteps_follow_the_config():
    schedule = cosine_schedule()
    low = replace(CONFIG, low_noise=1.0, low_sigma=(0.05, 0.3))
    drawn = [draw_timestep(np.random.default_rng(i), low, schedule) for i in range(200)]
    assert min(drawn) >= 24 and max(drawn) <= 178  # the timesteps of σ̄ = 0.05 and 0.3
    uniform = [draw_timestep(np.random.default_rng(i), CONFIG, schedule) for i in range(400)]
    assert np.mean(uniform) == pytest.approx(499.5, abs=50) and max(uniform) > 950


def test_batches_mix_noise_as_equation_1_says(cases):
    schedule = cosine_schedule()
    batch = draw_batch(cases, CONFIG, schedule, 10)
    alpha = torch.tensor(schedule.alpha_bar[batch.t.numpy()]).view(-1, 1, 1, 1, 1)
    x0 = (batch.x_t - (1 - alpha).sqrt() * batch.eps) / alpha.sqrt()
    early = batch.t < 900  # later, float32 does not resolve x_0
    assert x0[early].sub(torch.stack([c.x0 for c in batch.crops])[early]).abs().max() < 1e-3
    assert batch.eps.std().item() == pytest.approx(1.0, abs=0.05)
    again = draw_batch(cases, CONFIG, schedule, 10)
    assert torch.equal(batch.x_t, again.x_t) and torch.equal(batch.t, again.t)


def _train(folder, cases, config, stop=lambda: False, resume=False, workers=0):
    trainer, rows = Trainer(config, cases, folder), []
    if resume:
        trainer.restore(folder / "last.pt")
    pretrain(trainer, rows.append, stop, workers)
    return trainer, [row["loss"] for row in rows]


def test_a_killed_run_goes_on_identically(cases, tmp_path):
    """Six steps in one go, and three, a new process's state, and three more: the same losses and weights to the
    bit.
    """
    whole, losses = _train(tmp_path / "whole", cases, CONFIG)
    stopper = iter([False, False, False, True])
    _, first = _train(tmp_path / "half", cases, CONFIG, stop=lambda: next(stopper))
    resumed, second = _train(tmp_path / "half", cases, CONFIG, resume=True, workers=1)
    assert len(first) == 3 and first + second == losses
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    for name, value in whole.average.module.state_dict().items():
        assert torch.equal(value, resumed.average.module.state_dict()[name]), name


def test_the_state_is_replaced_whole(cases, tmp_path):
    """A save that dies half way leaves the last whole state."""
    trainer, _ = _train(tmp_path, cases, replace(CONFIG, steps=1))
    before = (tmp_path / "last.pt").read_bytes()
    trainer.step = 99
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", lambda state, file: (file.write(b"half"), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            trainer.save()
    assert (tmp_path / "last.pt").read_bytes() == before


def test_accumulated_batches_are_one_of_the_whole_size(cases, tmp_path):
    """The same four samples as 1 × 4, 2 × 2 and 4 × 1 give the same gradient and the same update."""
    gradients, weights = [], []
    for batch, accumulate in ((1, 4), (2, 2), (4, 1)):
        config = replace(CONFIG, batch=batch, accumulate=accumulate, steps=1, clip_norm=1e9)
        trainer = Trainer(config, cases, tmp_path / f"{batch}")
        step = trainer.optimizer.step

        def record(trainer=trainer, step=step):
            gradients.append(torch.cat([p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None]))
            step()

        trainer.optimizer.step = record
        pretrain(trainer, lambda row: None)
        weights.append(torch.cat([p.flatten() for p in trainer.network.parameters()]))
    for other in (1, 2):
        assert torch.allclose(gradients[0], gradients[other], rtol=1e-3, atol=1e-6)
        assert torch.allclose(weights[0], weights[other], atol=1e-5)
    assert gradients[0].abs().max() > 1e-3


def test_the_average_follows_by_hand(cases, tmp_path):
    """The first average is the first update's weights; after step 2 the decay is (1 + 2)/(10 + 2) = ¼."""
    trainer = Trainer(replace(CONFIG, steps=1), cases, tmp_path)
    name = next(iter(dict(trainer.network.named_parameters())))
    pretrain(trainer, lambda row: None)
    first = trainer.network.state_dict()[name].clone()
    assert trainer.average.module.state_dict()[name].equal(first)
    trainer.config = replace(CONFIG, steps=2)
    pretrain(trainer, lambda row: None)
    second = trainer.network.state_dict()[name]
    assert not second.equal(first)
    expected = 0.25 * first + 0.75 * second
    assert trainer.average.module.state_dict()[name].allclose(expected, atol=1e-6)


def test_a_run_starts_from_a_state_or_a_model_folder(cases, tmp_path):
    """Both give the averaged weights, a model folder in float16."""
    trainer, _ = _train(tmp_path / "run", cases, replace(CONFIG, steps=2))
    average = trainer.average.module.state_dict()
    folder = save_model_folder(tmp_path / "model", average, model_config("tiny", TINY), float16=True)
    for path, tolerance in ((tmp_path / "run" / "last.pt", 0.0), (folder, 1e-3)):
        fresh = Trainer(replace(CONFIG, seed=99), cases, tmp_path / "other")
        fresh.start_from(path)
        assert fresh.step == 0
        for name, value in fresh.network.state_dict().items():
            assert value.allclose(average[name], atol=tolerance, rtol=tolerance), name


def test_a_gradient_that_is_not_finite_changes_nothing(cases, tmp_path):
    trainer = Trainer(CONFIG, cases, tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    batch = draw_batch(cases, CONFIG, trainer.schedule, 0)
    batch.x_t[0, 0, 0, 0, 0] = torch.nan
    trainer.update([batch])
    assert trainer.step == 1
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.state_dict().items())


def test_training_lowers_the_loss(cases, tmp_path):
    """The first step's loss is E|ε| = √(2/π) = 0.798, since the untrained output is zero; 40 steps on bring it
    down.
    """
    config = replace(CONFIG, steps=40, accumulate=1, learning_rate=3e-3)
    _, losses = _train(tmp_path, cases, config)
    assert losses[0] == pytest.approx(math.sqrt(2 / math.pi), abs=0.02)
    assert np.mean(losses[-8:]) < 0.75


def test_config_round_trip_and_unknown_settings(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(CONFIG.to_json())
    assert PretrainConfig.from_json(path) == CONFIG
    path.write_text(json.dumps({"learning_rat": 1}))
    with pytest.raises(ValueError, match="learning_rat"):
        PretrainConfig.from_json(path)
