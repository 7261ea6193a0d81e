"""Training of refiners: pairs as the tasks see them, a run that goes on where it was, and its export."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tiny_model import save_tiny_model, save_tiny_refiner
from typer.testing import CliRunner

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.anatomy.tissue import BodyImage
from MedDiffFMLib.diffusion.slice_operators import block_mean
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.controlnet_folder import save_controlnet
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.refiner_folder import load_refiner
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig
from MedDiffFMLib.networks.refiner import COST
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.refinement.low_dose import LOW_DOSE
from MedDiffFMLib.refinement.thick_slices import THICK_SLICES
from MedDiffFMLib.tasks.one_step_slices import apply_refiner, refiner_training_sample
from MedDiffFMLib.tasks.scan import Scan
from MedDiffFMLib.tasks.super_resolve import look, super_resolve
from MedDiffFMLib.tasks.thin_slices import SliceSplit, compose_thin_slices
from MedDiffFMLib.volumes.frame import Frame, prepare
from MedDiffFMLib.volumes.intensity import to_hu
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.commands.train import train_app
from MedDiffFMTraining.data.pairs import crop_and_flip, draw_noisy, draw_thick
from MedDiffFMTraining.data.store import Case, write_noise
from MedDiffFMTraining.learn.refine import RefineConfig, RefineTrainer, make_pairs, read_pair

CONFIG = RefineConfig("low-dose", pairs=2, size=(6, 24, 24), cut=(16, 16), steps=60, warmup=1, save_every=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model with the ControlNet that thick slices need."""
    from tiny_model import TINY, make_tiny_network

    folder = save_tiny_model(tmp_path_factory.mktemp("model") / "tiny", patch=16)
    control = ControlNet(TINY, ControlNetConfig(kind="thick-slices", direct_t=300))
    control.start_from(make_tiny_network())
    save_controlnet(folder, "super-resolution-direct", control)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, "cpu", precision="float32")


@pytest.fixture()
def noisy_cases(train_cases) -> list[Case]:
    """The cases, their noise white and of 30 HU."""
    for case in train_cases:
        if case.noise is None:
            write_noise(case, np.random.default_rng(0).normal(0, 30, case.hu.box().shape))
    return [Case(case.folder) for case in train_cases]


def test_a_noisy_pair_is_a_scan_with_more_noise(noisy_cases, model):
    """y − x_0 has the noise that was drawn (19 to 40 HU in the abdomen's 360), x_0 is the case's own voxels, and what
    the task is given for the noise is right but for 10 %.
    """
    case = noisy_cases[0]
    pair = draw_noisy(np.random.default_rng(4), case, model, (8, 40, 40))
    noise = (pair.inputs.y - pair.truth)[pair.mask]
    assert pair.mask.float().mean() > 0.3
    assert 17 < float(noise.std()) * 180 < 44
    assert 0.7 < float(noise.std()) / pair.inputs.sigma_n < 1.4
    hu = np.asarray(case.hu)
    own = torch.from_numpy(np.clip((hu + 120) / 180 - 1, -1, 1).astype(np.float32))
    size = pair.truth.shape
    starts = np.argwhere(np.isclose(own, pair.truth[0, 0, 0], atol=1e-6))
    boxes = [own[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] for start in starts]
    assert any(box.shape == size and torch.allclose(box, pair.truth, atol=1e-5) for box in boxes)


def test_a_thick_pair_has_the_truths_block_means(train_cases, model):
    for seed, turned in ((0, 0.0), (1, 1.0)):
        pair = draw_thick(np.random.default_rng(seed), train_cases[0], model, (12, 24, 24), (3,), turned)
        assert pair.truth.shape[0] == 12 and pair.inputs.thick.shape[0] == 4
        inside = (pair.truth.abs() < 1).unflatten(0, (4, 3)).all(1)  # nothing of the block beyond the window
        assert inside.float().mean() > 0.2
        assert torch.allclose(block_mean(pair.truth, 3)[inside], pair.inputs.thick[inside], atol=1e-4)
        assert not pair.mask[:3].any() and not pair.mask[-3:].any() and pair.mask[3:-3].any()


def test_turning_over_keeps_what_belongs_together(noisy_cases, model):
    """Before and after, the same values stand at the same places of y, truth and mask; thick ones stay block means."""
    pair = draw_noisy(np.random.default_rng(4), noisy_cases[0], model, (6, 24, 30))
    images = lambda p: (p.inputs.y, p.inputs.of_model, p.inputs.nlm, p.truth)  # noqa: E731
    for seed in range(6):
        turned = crop_and_flip(pair, np.random.default_rng(seed), (slice(2, 22), slice(4, 24)))
        values = lambda p: sorted(zip(*(v.flatten().tolist() for v in images(p)), strict=True))  # noqa: E731
        cut = replace(pair, truth=pair.truth[:, 2:22, 4:24], mask=pair.mask[:, 2:22, 4:24])
        inputs = pair.inputs
        part = {name: getattr(inputs, name)[:, 2:22, 4:24] for name in ("y", "of_model", "nlm")}
        cut = replace(cut, inputs=replace(inputs, **part))
        assert values(turned) == values(cut)
        assert turned.mask.sum() == cut.mask.sum()
    thick = draw_thick(np.random.default_rng(0), noisy_cases[0], model, (16, 24, 24), (4,), 0.0)
    turned = crop_and_flip(thick, np.random.default_rng(3), (slice(0, 24), slice(0, 24)))
    apart = (block_mean(turned.truth, 4) - turned.inputs.thick).abs()
    assert torch.allclose(apart.sum(), (block_mean(thick.truth, 4) - thick.inputs.thick).abs().sum(), rtol=1e-3)


def test_a_refiner_learns_and_goes_on_where_it_was(noisy_cases, model, tmp_path):
    """A run of 60 updates, and one of 50 that is stopped and goes on, end with the same weights."""
    files = make_pairs(CONFIG, noisy_cases, model, tmp_path / "pairs", log=print)
    stamps = [file.stat().st_mtime_ns for file in files]
    assert make_pairs(CONFIG, noisy_cases, model, tmp_path / "pairs") == files
    assert stamps == [file.stat().st_mtime_ns for file in files]
    pairs = [read_pair(file, "low-dose") for file in files]
    whole = RefineTrainer(CONFIG, pairs, tmp_path, torch.device("cpu"))
    rows = [whole.update() for _ in range(60)]
    assert rows[0]["loss"] == pytest.approx(rows[0]["before"])
    assert sum(row["loss"] for row in rows[40:]) < 0.99 * sum(row["before"] for row in rows[40:])
    stopped = RefineTrainer(CONFIG, pairs, tmp_path, torch.device("cpu"))
    for _ in range(50):
        stopped.update()
    stopped.save()
    again = RefineTrainer(CONFIG, pairs, tmp_path, torch.device("cpu"))
    again.restore()
    for _ in range(10):
        again.update()
    for mine, theirs in zip(whole.average.module.parameters(), again.average.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_from_the_command_line(noisy_cases, folder, tmp_path):
    """`train refine` and `train export-refiner`: the model then has a refiner that is not a new one's."""
    config = tmp_path / "refine.json"
    values = {"kind": "low-dose", "pairs": 1, "size": [4, 24, 24], "cut": [16, 16], "steps": 3, "ema": 0.0}
    config.write_text(json.dumps(values), encoding="utf-8")
    store, run = noisy_cases[0].folder.parent.parent, tmp_path / "run"
    order = ["refine", str(store), str(run), str(folder), "--config", str(config), "--device", "cpu"]
    done = CliRunner().invoke(train_app, order, catch_exceptions=False)
    assert "step 3/3" in done.output
    CliRunner().invoke(train_app, ["export-refiner", str(run), str(folder)], catch_exceptions=False)
    refiner = load_refiner(load_model(folder, "cpu"), LOW_DOSE.kind)
    assert refiner.leave.weight.abs().max() > 0
    config.write_text(json.dumps(values | {"seed": 7}), encoding="utf-8")
    with pytest.raises(InputError, match="other settings"):
        CliRunner().invoke(train_app, order, catch_exceptions=False)
    config.write_text(json.dumps(values), encoding="utf-8")
    facts = json.loads((run / "facts.json").read_text(encoding="utf-8"))
    (run / "facts.json").write_text(json.dumps(facts | {"base_sha256": "0"}), encoding="utf-8")
    for other in (order, ["export-refiner", str(run), str(folder)]):  # pairs made with another model
        with pytest.raises(InputError, match="other weights"):
            CliRunner().invoke(train_app, other, catch_exceptions=False)


def test_settings_that_cannot_be_used_are_named(tmp_path):
    file = tmp_path / "refine.json"
    for text, words in (
        ('{"kind": "blur"}', "low-dose or thick-slices"),
        ('{"kind": "low-dose", "crops": 3}', "crops"),
        ('{"steps": 3}', "must hold a kind"),
        ("[1]", "cannot be read"),
        ('{"kind": "low-dose", "ema": 1.5}', "ema"),
        ('{"kind": "low-dose", "cut": [16, 16, 16]}', "size and cut"),
        ('{"kind": "thick-slices", "factors": [9]}', "three thick slices"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=words):
            RefineConfig.from_json(file)


def test_what_a_step_sees_and_keeps(noisy_cases, model, tmp_path):
    """What the mask leaves out does not count, a pair of weight 0 is never drawn, and the average forgets by hand."""
    pair = draw_noisy(np.random.default_rng(4), noisy_cases[0], model, (6, 24, 30))
    other = replace(pair, truth=torch.where(pair.mask, pair.truth, pair.truth + 0.5))
    assert not pair.mask.all()
    losses = [RefineTrainer(CONFIG, [one], tmp_path, torch.device("cpu")).update()["loss"] for one in (pair, other)]
    assert losses[0] == losses[1] > 0
    never = replace(pair, truth=torch.full_like(pair.truth, 0.123), weight=0.0)
    trainer = RefineTrainer(replace(CONFIG, ema=0.9), [never, pair], tmp_path, torch.device("cpu"))
    for trainer.step in range(30):
        assert (trainer.draw().truth != 0.123).any()
    zero, one = torch.zeros(1), torch.ones(1)
    for trainer.step, expected in ((0, 9 / 10), (5, 9 / 15), (1000, 0.1)):
        assert trainer._ema(zero, one, 0).item() == pytest.approx(expected)


def test_noisy_truth_counts_less(noisy_cases, model, monkeypatch):
    """1/(0.15 + (its noise/σ)²), σ what is drawn: known from a weight at 10 HU it tells that at 30 HU."""
    case, weights = noisy_cases[0], []
    for noise in (10.0, 30.0):
        monkeypatch.setattr(case, "facts", replace(case.facts, noise_hu=noise))
        weights.append(draw_noisy(np.random.default_rng(4), case, model, (6, 24, 30)).weight)
    sigma = 10 / (1 / weights[0] - 0.15) ** 0.5
    assert 19 < sigma < 40 and weights[1] == pytest.approx(1 / (0.15 + (30 / sigma) ** 2))


def test_a_store_without_a_case_to_draw_from_is_refused(noisy_cases, model, tmp_path):
    with pytest.raises(InputError, match="no case to draw from"):
        make_pairs(replace(CONFIG, case_weights=((noisy_cases[0].facts.name, 0.0),)), noisy_cases[:1], model, tmp_path)


def test_refined_slices_are_those_it_was_trained_for(data, folder, model):
    """The task with a refiner of random weights makes what `refiner_training_sample`, refined as in training, says,
    with exact block means; along another axis too. The foundation model alone goes without. Progress and the time
    foreseen count the refiner.
    """
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()[40:64, 40:60, 50:56]
    image.SetSpacing((3.0, 3.0, 6.0))
    ct = Volume.from_sitk(sitk.Cast(image, sitk.sitkFloat32), "abdomen")
    refiner = save_tiny_refiner(folder, THICK_SLICES, std=0.3)
    arguments = {"factor": 2, "region": "abdomen", "quality": "fast"}
    events, settings = [], {"refiner_mirrored": 2}
    model = replace(model, config=model.config | {"tasks": {"super-resolve": {"fast": settings}}})
    made = super_resolve(ct, model, progress=events.append, **arguments)
    scan, inputs = refiner_training_sample(ct, model, 2, "abdomen")
    inside = to_hu(inputs.apply_refiner(refiner, 2).clamp(-1, 1).detach().numpy(), scan.window)
    expected = compose_thin_slices(inside, scan, SliceSplit(-3, 2)).numpy()
    found = prepare(made.volume).hu
    assert made.facts.refiner == "thick-slices" and made.facts.block_mean_error_hu < 0.01
    assert np.abs(found - expected).max() < 0.05
    seen, windows = look(ct, model, **arguments), made.facts.windows
    work = (
        windows,
        2 * COST * (20 * 24) / (16 * 16) * (16 / 8) ** 2,
    )  # body's and window's voxels; 8 channels
    assert scan.body.all() and seen["seconds"] == pytest.approx(seen["seconds_each"] * sum(work))
    assert [p.fraction for p in events if p.window == p.windows] == pytest.approx([work[0] / sum(work), 1])
    plain = super_resolve(ct, load_model(folder, "cpu", precision="float32"), **arguments | {"control": "none"})
    assert plain.facts.refiner == "none" and np.abs(plain.volume.voxels - made.volume.voxels).mean() > 1
    turned = sitk.PermuteAxes(image, (2, 0, 1))
    turned.SetDirection(np.eye(3).flatten().tolist())  # its slices now lie along x
    other = super_resolve(Volume.from_sitk(sitk.Cast(turned, sitk.sitkFloat32), "turned"), model, **arguments)
    assert other.facts.plane == "sagittal" and other.facts.refiner == "thick-slices"
    assert other.facts.slices == [6, 12]


def test_slices_are_refined_in_the_bodys_box_alone(folder, model):
    """A body with air around it, on each side another amount, becomes what it becomes alone; the air stays."""
    refiner = save_tiny_refiner(folder, THICK_SLICES, std=0.3)
    hu = np.random.default_rng(0).uniform(-100, 200, (4, 10, 12)).astype(np.float32)
    around = ((1, 2), (3, 1), (2, 5))
    for axis in (-3, -1):
        cut, factor = SliceSplit(axis, 3), [1, 1, 1]
        factor[axis] = 3
        thin = np.random.default_rng(1).uniform(-100, 200, np.multiply(hu.shape, factor)).astype(np.float32)
        thin_around = [(a * f, b * f) for (a, b), f in zip(around, factor, strict=True)]
        made = []
        bodies = np.ones_like(hu, bool), np.pad(np.ones_like(hu, bool), around)
        for body, ct, estimate in zip(bodies, (hu, np.pad(hu, around)), (thin, np.pad(thin, thin_around)), strict=True):
            frame = Volume(ct, (1.0, 1.0, 1.0))
            scan = Scan(Frame(frame, frame), BodyImage(ct, (1.0, 1.0, 1.0), body), REGIONS["abdomen"], (-120.0, 240.0))
            made.append(apply_refiner(model, refiner, scan, estimate, cut, 1, Reporter(None)))
        alone, padded = made
        inside = tuple(slice(a, n - b) for (a, b), n in zip(thin_around, padded.shape, strict=True))
        assert np.abs(alone - thin).mean() > 1 and np.abs(padded[inside] - alone).max() < 0.01
        padded[inside] = 0
        assert not padded.any()
