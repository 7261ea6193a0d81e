"""Progressive distillation in small: the target is two of the sampler's steps, rounds halve, resume and export."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import typer
from small_store import add_case
from tiny_model import TINY, make_tiny_network, save_tiny_model
from typer.testing import CliRunner

import MedDiffFMLib
from MedDiffFMLib.diffusion.samplers import clip, ddim
from MedDiffFMLib.diffusion.schedule import trailing_steps
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.unet import Denoiser, as_eps
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMTraining.commands import register
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.store import CaseFacts, open_store
from MedDiffFMTraining.learn.batches import draw_batch
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.distill import DistillTrainer, rounds
from MedDiffFMTraining.learn.pretrain import pretrain

TELLS_V = replace(TINY, prediction="v")
CONFIG = PretrainConfig(
    crops=CropConfig(patch=(8, 8, 8)),
    steps=2,
    batch=4,
    accumulate=1,
    learning_rate=1e-3,
    warmup=1,
    precision="float32",
    validate_every=0,
    distilled_to=4,
)


@pytest.fixture(scope="module")
def store(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    image = sitk.ReadImage(str(data / "abd_ts_example.nii.gz"))[:, :, 40:80]
    labels = sitk.ReadImage(str(data / "abd_ts_example_seg.nii.gz"))[:, :, 40:80]
    add_case(
        folder, "train", CaseFacts("a", "a", "abdomen", tuple(image.GetSpacing()[::-1]), 10.0, True), image, labels
    )
    return folder


@pytest.fixture(scope="module")
def cases(store):
    return open_store(store, "train")


@pytest.fixture
def teacher():
    """A network that predicts v, of random weights; its x_0 leaves the model's range here and there."""
    network = Denoiser(TELLS_V)
    network.load_state_dict(make_tiny_network().state_dict())
    return network.eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from MedDiffFMLib.models.folder import model_config, save_model_folder

    folder = tmp_path_factory.mktemp("models") / "teacher"
    return save_model_folder(
        folder, make_tiny_network().state_dict(), model_config("teacher", replace(TELLS_V, patch=32))
    )


class Recorder:
    """ε of a network under a sample's conditions; it keeps every x that the sampler shows it."""

    def __init__(self, output, trainer):
        self.output, self.trainer, self.seen = output, trainer, []

    def __call__(self, x, t):
        self.seen.append(x)
        return as_eps(self.output(x, t), x, float(self.trainer.schedule.alpha_bar[t]), "v")


@pytest.mark.parametrize("count", [4, 1])
def test_two_steps_of_the_sampler_are_one_of_the_target(cases, teacher, tmp_path, count):
    """For every timestep of the student: DDIM of synthesis, clipped as there, from t over m to s with the teacher, and
    from t to s with the target as the network's answer, come to the same x_s; at the walk's end to the same image.
    """
    trainer = DistillTrainer(replace(CONFIG, distilled_to=count), cases, tmp_path, teacher)
    batch = trainer.on_walk(replace(draw_batch(cases, trainer.config, trainer.schedule, 0), t=torch.arange(4) * 250))
    assert sorted(set(batch.t.tolist()), reverse=True) == trailing_steps(990, count)
    target, walk = trainer.target(batch), trailing_steps(990, 2 * count)
    _, _, *conditions = trainer.inputs(batch)
    clipped = 0
    for n, t in enumerate(batch.t.tolist()):
        own = [condition[n : n + 1] for condition in conditions]

        @torch.no_grad()
        def say(x, t, own=own):
            return trainer.teacher(x[None], torch.tensor([t]), *own)[0]

        m, *s = walk[walk.index(t) + 1 : walk.index(t) + 3]
        of_teacher = Recorder(say, trainer)
        of_student = Recorder(lambda x, t, n=n: target[n], trainer)
        end = ddim(of_teacher, batch.x_t[n], trainer.schedule, [t, m, *s], clip)
        end_of_student = ddim(of_student, batch.x_t[n], trainer.schedule, [t, *s], clip)
        assert len(of_teacher.seen) == 2 + len(s)
        if s:
            assert torch.allclose(of_teacher.seen[2], of_student.seen[1], atol=1e-5)
        else:
            assert torch.allclose(end, end_of_student, atol=1e-5)
        clipped += int((end.abs() == 1).sum())
    assert clipped > 0  # the test means the clip too


class KnowsTheImage(torch.nn.Module):
    """Answers v of one image, whatever it is shown: v = (√ᾱ·x_t − x_0)/√(1 − ᾱ)."""

    def __init__(self, x0, alpha_bar):
        super().__init__()
        self.config, self.x0, self.alpha_bar = TELLS_V, x0, torch.from_numpy(alpha_bar)
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x_t, t, position, anatomy, region):
        alpha = self.alpha_bar[t].view(-1, 1, 1, 1, 1)
        return ((alpha.sqrt() * x_t - self.x0) / (1 - alpha).sqrt()).float()


def test_of_a_teacher_that_knows_the_image_the_student_learns_the_same(cases, tmp_path):
    x0 = torch.linspace(-1, 1, 8**3).view(8, 8, 8)
    trainer = DistillTrainer(
        CONFIG, cases, tmp_path, KnowsTheImage(x0, MedDiffFMLib.diffusion.schedule.cosine_schedule().alpha_bar)
    )
    batch = trainer.on_walk(draw_batch(cases, trainer.config, trainer.schedule, 4))
    same = trainer.teacher(*trainer.inputs(batch))
    assert torch.allclose(trainer.target(batch), same, atol=1e-5)


def test_samples_lie_on_the_student_s_walk(cases, teacher, tmp_path):
    """All t alike often: 1000 equally spread ones fall 250 times on each of four; x_t is equation 1 at the new t."""
    trainer = DistillTrainer(CONFIG, cases, tmp_path, teacher)
    batch = draw_batch(cases, trainer.config, trainer.schedule, 0)
    crops, noise = batch.crops * 250, batch.eps.repeat(250, 1, 1, 1, 1)
    moved = trainer.on_walk(replace(batch, t=torch.arange(1000), crops=crops, eps=noise))
    assert torch.equal(torch.bincount(moved.t, minlength=991).nonzero()[:, 0], torch.tensor([248, 495, 742, 990]))
    assert set(torch.bincount(moved.t).tolist()) == {0, 250}
    alpha = trainer.schedule.alpha_bar[495]
    at = moved.t.tolist().index(495)
    expected = alpha**0.5 * crops[at].x0 + (1 - alpha) ** 0.5 * noise[at]
    assert torch.allclose(moved.x_t[at], expected, atol=1e-6)


def test_a_student_begins_as_its_teacher_and_comes_nearer(cases, teacher, tmp_path):
    trainer = DistillTrainer(replace(CONFIG, steps=20), cases, tmp_path, teacher)
    untouched = {name: value.clone() for name, value in teacher.state_dict().items()}
    assert all(torch.equal(value, untouched[name]) for name, value in trainer.network.state_dict().items())
    batch = draw_batch(cases, trainer.config, trainer.schedule, 0)
    losses = [trainer.update([batch])["loss"] for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(value, untouched[name]) for name, value in trainer.teacher.state_dict().items())


def _distil(cases, run, model, log, stop_at=None):
    """All rounds from 4 steps to 1, each from its last state; ends when `stop_at` updates are made."""
    for trainer in rounds(CONFIG, cases, run, model, (4, 1)):
        if (trainer.folder / "last.pt").exists():
            trainer.restore(trainer.folder / "last.pt")
        pretrain(trainer, lambda row: log.append(row["loss"]), lambda: len(log) == stop_at)
        if len(log) == stop_at:
            return None
    return trainer


def test_rounds_halve_and_a_stopped_run_goes_on_identically(cases, model, tmp_path):
    """4 → 2 → 1 with twice the updates, as they are the hard ones: 4 and 4. Stopped in the second round: the same."""
    whole, parts = [], []
    last = _distil(cases, tmp_path / "whole", model, whole)
    assert _distil(cases, tmp_path / "parts", model, parts, stop_at=6) is None
    again = _distil(cases, tmp_path / "parts", model, parts)
    assert len(whole) == 8 and whole == parts
    for name, value in last.average.module.state_dict().items():
        assert torch.equal(value, again.average.module.state_dict()[name]), name
    first = torch.load(tmp_path / "whole" / "steps-2" / "last.pt", weights_only=True)["average"]
    assert all(torch.equal(value, first[name]) for name, value in last.teacher.state_dict().items())


def test_what_cannot_be_distilled_is_refused(cases, model, tmp_path):
    with pytest.raises(InputError, match="halved to 3"):
        next(rounds(CONFIG, cases, tmp_path, model, (32, 3)))
    with pytest.raises(InputError, match="halved to 4"):
        next(rounds(CONFIG, cases, tmp_path, model, (4, 4)))
    with pytest.raises(InputError, match="predicts v"):
        next(rounds(CONFIG, cases, tmp_path, save_tiny_model(tmp_path / "tells-epsilon"), (4, 1)))


def test_the_command_s_student_synthesizes_in_its_steps(store, model, data, tmp_path):
    """train distill and export: the folder has float16 weights of the average, a card of facts, and walks [990, 495]
    by itself.
    """
    app = typer.Typer()
    register(app)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(replace(CONFIG, steps=1, distilled_to=0).to_json())
    run = tmp_path / "run"
    arguments = [str(path) for path in (store, run, model, "--config", recipe)]
    done = CliRunner().invoke(app, ["train", "distill", *arguments, "--from", "4", "--to", "2", "--workers", "0"])
    assert done.exit_code == 0, done.output
    state = run / "steps-2" / "last.pt"
    folder = tmp_path / "student"
    done = CliRunner().invoke(app, ["train", "export", str(state), str(state.with_name("config.json")), str(folder)])
    assert done.exit_code == 0, done.output

    student = load_model(folder, device="cpu", precision="float32")
    average = torch.load(state, weights_only=True)["average"]
    for name, value in student.network.state_dict().items():
        assert torch.allclose(value, average[name], rtol=1e-3, atol=1e-6), name
    assert student.config["training"]["distilled_from"] == "teacher"
    assert student.config["training"]["data"] == {"volumes": 1, "patients": 1, "regions": {"abdomen": 1}}
    assert "1 CT volumes of 1 patients (abdomen 1)" in (folder / "README.md").read_text(encoding="utf-8")

    labels = read_volume(data / "abd_ts_example_seg.nii.gz")
    labels = replace(labels, voxels=labels.voxels[50:60, 30:72, 40:82])
    made = MedDiffFMLib.synthesize(labels, student, seed=1, quality="balanced", region="abdomen")
    walks = [level.timesteps for level in made.facts.levels]
    assert walks[0] == [990, 495] and walks[1:] == [[495]]


def test_every_list_is_contained_in_that_of_twice_the_count():
    lists = [trailing_steps(990, 2**n) for n in range(6)]
    assert lists[:3] == [[990], [990, 495], [990, 742, 495, 248]]
    assert all(short == long[::2] for short, long in itertools.pairwise(lists))
    assert all(np.diff(steps).max() < 0 for steps in lists[1:]) and min(lists[-1]) == 31
