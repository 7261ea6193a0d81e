"""Fine-tuning of a ControlNet in small: the target is what it says, the U-Net stays locked, the control learns."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from small_store import add_case
from tiny_model import TINY, make_tiny_network, save_tiny_model

from MedDiffFMLib.control_folder import load_control, save_control
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.model_folder import model_config, save_model_folder
from MedDiffFMLib.models import load_model
from MedDiffFMLib.non_local_means import non_local_means
from MedDiffFMLib.schedule import cosine_schedule
from MedDiffFMTraining.data.crops import CropConfig, draw_crop, low_dose, thick_target
from MedDiffFMTraining.data.pack import pack, unpack
from MedDiffFMTraining.data.store import Case, CaseFacts, open_store
from MedDiffFMTraining.learn.batches import draw_batch, mix
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.export import export_control, export_model, read_run, write_facts
from MedDiffFMTraining.learn.finetune import ControlTrainer
from MedDiffFMTraining.learn.pretrain import pretrain

CONFIG = PretrainConfig(
    crops=CropConfig(patch=(8, 16, 16), levels=(0, 0, 1, 1), target="lesion-mask"),
    steps=4,
    batch=2,
    accumulate=1,
    learning_rate=2e-3,
    warmup=1,
    precision="float32",
)


@pytest.fixture(scope="module")
def store(data, tmp_path_factory):
    """A real abdomen whose left kidney (label 3) plays the lesion, and one without any."""
    folder = tmp_path_factory.mktemp("store")
    image = sitk.ReadImage(str(data / "abd_ts_example.nii.gz"))
    lesion = sitk.ReadImage(str(data / "abd_ts_example_seg.nii.gz")) == 3
    facts = CaseFacts("with", "a", "abdomen", tuple(image.GetSpacing()[::-1]), 10.0, True)
    add_case(folder, "train", facts, image, None, lesion)
    add_case(folder, "train", replace(facts, name="without", patient="b"), image, None)
    return folder


@pytest.fixture(scope="module")
def cases(store):
    return open_store(store, "train")


def test_the_lesion_mask_is_that_of_the_crop(cases, data):
    """Lesion crops come from the case with a lesion, most of them meet it, and the mask fits the voxels."""
    seg = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "abd_ts_example_seg.nii.gz")))[:, ::-1, ::-1]
    assert np.array_equal(cases[0].lesion, seg == 3) and cases[1].lesion is None
    config = CropConfig(
        patch=(8, 16, 16), levels=(0, 0, 0, 1), target="lesion-mask", bin_in_plane=0, window_jitter_hu=0
    )
    crops = [draw_crop(np.random.default_rng(seed), cases, config) for seed in range(40)]
    hit = [crop for crop in crops if crop.target.any()]
    assert len(hit) > 24 and all(crop.target.shape == (1, 8, 16, 16) for crop in crops)
    hu = np.concatenate([(crop.x0[crop.target > 0].numpy() + 1) * 180 - 120 for crop in hit])
    kidney = np.clip(np.asarray(cases[0].hu)[np.asarray(cases[0].lesion)], -120, 240)
    assert abs(np.median(hu) - np.median(kidney)) < 10


def test_thick_target_by_hand():
    """Slices 0 1 2 3 4 5 of factor 2: means 0.5 2.5 4.5; between their centres the line, at the ends the mean."""
    x0 = torch.arange(6.0).view(6, 1, 1).expand(6, 2, 2)
    assert torch.allclose(thick_target(x0, 2)[:, 0, 0], torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0, 4.5]))
    assert thick_target(x0, 4).shape == (6, 2, 2)  # 6 is no multiple of 4


def test_a_pair_is_the_same_crop_of_the_other_scan(cases):
    """The other scan is darker by 36 HU everywhere: a tenth of the abdomen's window on [-1, 1] is 0.2. Cases without
    another scan are not drawn, and a store without any is refused.
    """
    paired = Case(cases[0].folder)
    paired.pair = np.asarray(paired.hu) - 36
    config = CropConfig(patch=(8, 16, 16), levels=(1, 1, 1, 1), target="pair")
    for seed in range(8):
        crop = draw_crop(np.random.default_rng(seed), [cases[1], paired], config)
        inside = (crop.target > -0.99) & (crop.x0 < 0.99)
        difference = (crop.x0 - crop.target)[inside]
        assert len(difference) > 50
        if crop.level in ("own", "patch"):  # the others average voxels, also such as lie outside the window
            assert difference == pytest.approx(0.2, abs=0.03)
    with pytest.raises(InputError, match="pair"):
        draw_crop(np.random.default_rng(0), cases, config)
    with pytest.raises(InputError, match="thin"):
        draw_crop(np.random.default_rng(0), cases, replace(config, target="thin"))


LOW_DOSE = CropConfig(patch=(8, 16, 16), levels=(0, 0, 0, 1), target="low-dose", window_jitter_hu=0)


def _with_ramp(case: Case) -> Case:
    """The case with a made up noise of 30 HU that grows by 1 HU a slice."""
    case = Case(case.folder)
    case.noise = np.broadcast_to(np.arange(case.hu.shape[0], dtype=np.int16)[:, None, None], case.hu.shape)
    return case


def test_low_dose_is_the_crop_with_its_noise_and_told_its_non_local_means(cases):
    """The box at (40, 30, 20) in a window of 360 HU. Its noise, made up, grows evenly from slice to slice; y has it at
    σ, measured in the soft tissue of the box and its margin of 4, and the target is the non-local means of all, cut.
    """
    case, box = _with_ramp(cases[0]), (slice(40, 48), slice(30, 46), slice(20, 36))
    crop = low_dose(np.random.default_rng(1), case, (40, 30, 20), (8, 16, 16), (-120.0, 240.0))
    assert 15 <= crop["sigma"] * 180 <= 45
    margin = (slice(36, 52), slice(26, 50), slice(16, 40))
    hu, noise = np.asarray(case.hu), np.asarray(case.noise).astype(float)
    soft = (hu[margin] > -50) & (hu[margin] < 150)
    whole = (hu + crop["sigma"] * 180 * noise / noise[margin][soft].std() + 120) / 180 - 1
    noisy = torch.from_numpy(np.clip(whole, -1, 1).astype(np.float32))
    assert torch.allclose(crop["noisy"][0], noisy[box], atol=1e-5)
    assert torch.allclose(crop["target"][0], non_local_means(noisy, crop["sigma"])[box], atol=1e-4)
    assert not torch.allclose(crop["target"], crop["noisy"], atol=0.05)


def test_sampling_of_low_dose_begins_at_the_scan(cases):
    """x_t = √ᾱ·y at the t of its noise, known but for 15 %; ε is what leads there from x_0."""
    schedule = cosine_schedule()
    batch = draw_batch([_with_ramp(cases[0])], replace(CONFIG, crops=LOW_DOSE), schedule, 5)
    for crop, t, x_t, epsilon in zip(batch.crops, batch.t.tolist(), batch.x_t, batch.epsilon, strict=True):
        assert abs(math.log(schedule.sigma_bar(t) / crop.sigma)) < 0.6
        assert torch.allclose(x_t, math.sqrt(schedule.alpha_bar[t]) * crop.noisy, atol=1e-5)
        assert torch.allclose(mix(schedule, crop, epsilon, t), x_t, atol=1e-5)


def test_the_loss_of_low_dose_is_that_of_the_answer(cases, tmp_path):
    """Where the mean of network and non-local means is the truth, nothing is lost: v̂ is set to what makes it so. A
    uniform error of σ̄/2 in that mean is e = 1 (w = ½), so the loss is 1 + 1.
    """
    base = save_tiny_model(tmp_path / "model")
    config = replace(CONFIG, crops=LOW_DOSE)
    trainer = ControlTrainer(config, cases, tmp_path / "run", base)
    batch = draw_batch(cases, trainer.config, trainer.schedule, 0)
    alpha = torch.from_numpy(trainer.schedule.alpha_bar)[batch.t].float().view(-1, 1, 1, 1, 1)
    sigma_bar = ((1 - alpha) / alpha).sqrt()
    x0, told = (torch.stack([getattr(c, k) for c in batch.crops]) for k in ("x0", "target"))
    for error, loss in ((0.0, 0.0), (0.5, 2.0)):
        network = 2 * (x0 + error * sigma_bar) - told
        epsilon = (batch.x_t - alpha.sqrt() * network) / (1 - alpha).sqrt()
        trainer.estimate = lambda _, epsilon=epsilon: epsilon
        assert torch.allclose(trainer.losses(batch), torch.tensor(loss), atol=2e-3)


def test_a_low_dose_crop_is_of_the_scans_own_voxels():
    with pytest.raises(InputError, match="own alone"):
        CropConfig(levels=(0, 0, 1, 1), target="low-dose")


def test_a_control_for_low_dose_learns(cases, tmp_path):
    """Without noise in the store it is drawn as FBP's."""
    trainer = ControlTrainer(
        replace(CONFIG, crops=LOW_DOSE, steps=25, learning_rate=1e-2),
        cases,
        tmp_path / "run",
        save_tiny_model(tmp_path / "model"),
    )
    batch = draw_batch(cases, trainer.config, trainer.schedule, 1000)
    first = trainer.update([batch])["loss"]
    for _ in range(25):
        last = trainer.update([batch])["loss"]
    assert last < 0.97 * first


def test_an_exported_control_is_the_average_in_its_own_model(cases, tmp_path):
    """float16, with the run's facts; a model of other weights is refused, and so is a run of another kind."""
    base = save_tiny_model(tmp_path / "model")
    trainer = ControlTrainer(replace(CONFIG, steps=1), cases, tmp_path / "run", base)
    pretrain(trainer, lambda row: None)
    (tmp_path / "run" / "config.json").write_text(trainer.config.to_json())
    write_facts(trainer)
    run = read_run(tmp_path / "run" / "last.pt", tmp_path / "run" / "config.json")
    export_control(run, base, "lesion-kidney")
    model = load_model(base, device="cpu", precision="float32")
    loaded, batch = load_control(model, "lesion-kidney"), draw_batch(cases, trainer.config, trainer.schedule, 0)
    inputs, target = trainer.inputs(batch), torch.stack([crop.target for crop in batch.crops])
    with torch.no_grad():
        features, middle = loaded(*inputs, target)
        expected, expected_middle = trainer.average.module(*inputs, target)
    for own, other in zip([*features, middle], [*expected, expected_middle], strict=True):
        assert torch.allclose(own, other, atol=2e-3)
    assert run.training["data"]["volumes"] == 2 and run.training["samples"] == 2

    other = save_tiny_model(tmp_path / "other", patch=16)
    weights = make_tiny_network().state_dict()
    next(iter(weights.values())).add_(1)
    save_model_folder(other, weights, model_config("other", TINY), overwrite=True)
    with pytest.raises(InputError, match="other weights"):
        export_control(run, other, "lesion-kidney")
    with pytest.raises(InputError, match="export-control"):
        export_model(run, tmp_path / "new")
    with pytest.raises(InputError, match="it has no crops"):
        export_control(replace(run, settings=PretrainConfig()), base, "x")


def test_only_the_control_learns_and_it_lowers_the_loss(cases, tmp_path):
    base = save_tiny_model(tmp_path / "model")
    trainer = ControlTrainer(replace(CONFIG, steps=25), cases, tmp_path / "run", base)
    locked = {name: value.clone() for name, value in trainer.base.state_dict().items()}
    batch = draw_batch(cases, trainer.config, trainer.schedule, 1000)
    with torch.no_grad():
        before = trainer.losses(batch).mean()
    for _ in range(25):
        trainer.update([batch])
    with torch.no_grad():
        after = trainer.losses(batch).mean()
    assert after < 0.97 * before
    assert all(torch.equal(value, locked[name]) for name, value in trainer.base.state_dict().items())

    folder = save_control(base, "lesion-kidney", trainer.average.module, {"steps": 25})
    assert (folder / "model.safetensors").stat().st_size > 1000
    loaded = load_control(load_model(base), "lesion-kidney")
    assert loaded.config.kind == "lesion-mask" and loaded.network.channels == TINY.channels


def test_a_stopped_run_goes_on_identically(cases, tmp_path):
    base, losses = save_tiny_model(tmp_path / "model"), {}
    for name, stops in (("whole", [4]), ("parts", [2, 4])):
        losses[name] = []
        for steps in stops:
            trainer = ControlTrainer(CONFIG, cases, tmp_path / name, base)
            if (tmp_path / name / "last.pt").exists():
                trainer.restore(tmp_path / name / "last.pt")
            pretrain(
                trainer, lambda row, own=losses[name]: own.append(row["loss"]), lambda t=trainer, s=steps: t.step >= s
            )
    assert losses["whole"] == losses["parts"] and len(losses["whole"]) == 4


def test_lesions_travel_in_a_pack(store, tmp_path):
    pack(store, tmp_path / "store.pack")
    unpack(tmp_path / "store.pack", tmp_path / "again")
    before, after = open_store(store, "train"), open_store(tmp_path / "again", "train")
    assert np.array_equal(before[0].lesion, after[0].lesion) and after[1].lesion is None
