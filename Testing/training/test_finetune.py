"""Fine-tuning of a ControlNet in small: the target is what it says, the U-Net stays locked, the control learns."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from small_store import add_case
from tiny_model import TINY, make_tiny_network, save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.controlnet_folder import load_controlnet, save_controlnet
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.models.loading import load_model
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import draw_crop, thick_target
from MedDiffFMTraining.data.store import Case, CaseFacts, open_store
from MedDiffFMTraining.learn.batches import draw_batch
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
    """Slices 0 1 2 3 4 5 of factor 2: means 0.5 2.5 4.5; between their centers the line, at the ends the mean."""
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
    loaded, batch = load_controlnet(model, "lesion-kidney"), draw_batch(cases, trainer.config, trainer.schedule, 0)
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

    folder = save_controlnet(base, "lesion-kidney", trainer.average.module, {"steps": 25})
    assert (folder / "model.safetensors").stat().st_size > 1000
    loaded = load_controlnet(load_model(base), "lesion-kidney")
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
