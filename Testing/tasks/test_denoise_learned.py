"""Denoising beyond the paper: the mean with non-local means, and the refiner `low-dose`; both can be left out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model, save_tiny_refiner

from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.refiner_folder import load_refiner
from MedDiffFMLib.networks.refiner import COST as REFINER_COST
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.refinement.low_dose import LOW_DOSE, MEANS_COST
from MedDiffFMLib.refinement.non_local_means import COST as NLM_COST
from MedDiffFMLib.refinement.non_local_means import non_local_means
from MedDiffFMLib.tasks.denoise import denoise, look, refiner_training_sample
from MedDiffFMLib.tasks.denoise_region import merge
from MedDiffFMLib.tasks.scan import analyze_scan
from MedDiffFMLib.volumes.intensity import to_hu
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

ARGUMENTS = {"sigma": 20, "quality": "fast", "region": "abdomen", "strength": "full"}


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    """A corner of the real abdomen: 16 × 64 × 60 voxels of 3 mm."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[0:60, 20:84, 44:60], "abdomen")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Without a refiner."""
    return load_model(save_tiny_model(tmp_path_factory.mktemp("plain") / "tiny"), "cpu", precision="float32")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = save_tiny_model(tmp_path_factory.mktemp("learned") / "tiny")
    save_tiny_refiner(folder, LOW_DOSE)
    return load_model(folder, "cpu", precision="float32")


def _share(model, share: float):
    return replace(model, config=model.config | {"tasks": {"denoise": {"fast": {"nlm_share": share}}}})


def _voxels(ct, model, **more) -> np.ndarray:
    return denoise(ct, model, **ARGUMENTS | more).volume.voxels


def test_with_the_whole_share_it_is_non_local_means(ct, model):
    """w = 1: N(y) in the body's box and the abdomen's window, with what `merge` keeps, whatever the network says."""
    scan = analyze_scan(ct, "abdomen", Reporter(None))
    low, high = scan.window
    box = tuple(slice(i.min(), i.max() + 1) for i in np.nonzero(scan.body))
    y = torch.from_numpy(scan.x)
    y[box] = non_local_means(y[box].clone(), 20 * 2 / (high - low))
    expected = scan.frame.restore(merge(scan.frame.hu, to_hu(y.numpy(), scan.window), scan.body, scan.window, 20))
    assert np.array_equal(_voxels(ct, _share(model, 1.0)), np.rint(expected).astype(np.int16))


def test_the_mean_lies_between_network_and_non_local_means(ct, model):
    """w = ½ is the mean of w = 0 and w = 1 where neither is bounded by 4 σ or the window: in most voxels."""
    none, half, all_ = (_voxels(ct, _share(model, w)).astype(float) for w in (0.0, 0.5, 1.0))
    inside = (np.abs(none - ct.voxels) < 79) & (np.abs(all_ - ct.voxels) < 79) & (half != ct.voxels)
    inside &= (none > -118) & (none < 238) & (all_ > -118) & (all_ < 238) & (half > -110) & (half < 230)
    assert inside.sum() > 2000
    assert np.abs(half - (none + all_) / 2)[inside].max() <= 1.01


def test_a_new_refiner_changes_nothing(ct, model, tmp_path):
    """Its last convolution is zero: the voxels are those of the mean of model and non-local means."""
    folder = save_tiny_model(tmp_path / "tiny")
    save_tiny_refiner(folder, LOW_DOSE, std=0.0)
    assert np.array_equal(
        _voxels(ct, _share(load_model(folder, "cpu", precision="float32"), 0.5)), _voxels(ct, _share(model, 0.5))
    )


def test_the_foundation_model_alone(ct, model, learned):
    """As published, whatever helps there are: the voxels of a model that has none."""
    alone = _voxels(ct, model)
    assert np.array_equal(_voxels(ct, _share(model, 0.5), alone=True), alone)
    assert np.array_equal(_voxels(ct, _share(learned, 0.5), alone=True), alone)
    helped = _voxels(ct, _share(learned, 0.5))
    assert not np.array_equal(helped, alone) and not np.array_equal(helped, _voxels(ct, _share(model, 0.5)))


def test_what_a_refiner_is_trained_with_is_what_it_is_told(ct, learned, model):
    """`refiner_training_sample`, refined as the pairs of `train refine` are, makes the voxels that the task makes: here
    of a body that fills its box but for a corner, in voxels of 3 × 2 × 5 mm.
    """
    voxels = np.ascontiguousarray(ct.voxels[:, 20:44, 18:42]).astype(np.float32)
    voxels[:, :9, :9] = -1000
    floats = Volume(voxels, (3.0, 2.0, 5.0))
    scan, noisy = refiner_training_sample(floats, model, 20, "abdomen")
    refined, spacing = noisy.apply_refiner(load_refiner(learned, LOW_DOSE.kind)), scan.frame.spacing[1:]
    x0 = noisy.restore_local_means(refined, torch.from_numpy(scan.body), spacing)
    expected = scan.frame.restore(merge(scan.frame.hu, to_hu(x0.numpy(), scan.window), scan.body, scan.window, 20))
    found = _voxels(floats, _share(learned, 0.5))
    assert (len(scan.body_box), scan.voxels_in_box) == (1, voxels.size) and 0 < (~scan.body).mean() < 0.2
    assert np.abs(expected - floats.voxels).mean() > 2
    assert np.abs(found - expected).max() < 0.01


def test_who_denoised_is_told(ct, model, learned):
    def facts(model, **more):
        found = denoise(ct, model, **ARGUMENTS | more).facts
        return found.refiner, found.non_local_means, len(found.regions[0].timesteps)

    assert facts(_share(learned, 0.5)) == ("low-dose", 0.5, 1)
    assert facts(_share(learned, 0.25)) == ("low-dose", 0.5, 1)  # a refiner goes on from the mean
    assert facts(_share(learned, 0.5), steps=3) == ("low-dose", 0.5, 3)
    assert facts(_share(learned, 0.5), alone=True) == facts(learned) == ("none", 0.0, 1)
    assert facts(_share(model, 0.25)) == ("none", 0.25, 1)
    count = denoise(ct, learned, **ARGUMENTS).facts.network_evaluations
    assert look(ct, learned, **ARGUMENTS)["network_evaluations"] == count


def test_progress_and_the_time_foreseen_count_what_helps(ct, learned):
    """Windows, shifts in two blocks of rows, pairs of slices in eight orientations, and pairs again, each a step that
    takes its share of the whole: of the body's box b and windows of 16 × 48 × 48 in a network of 8 channels,
    4·b/(16·48²) times what a voxel costs.
    """
    settings = {"nlm_share": 0.5, "mirrored": 8}
    model = replace(learned, config=learned.config | {"tasks": {"denoise": {"fast": settings}}})
    events = []
    windows = denoise(ct, model, progress=events.append, **ARGUMENTS).facts.windows
    body = np.nonzero(analyze_scan(ct, "abdomen", Reporter(None)).body)
    box = math.prod(int(i.max() - i.min()) + 1 for i in body) / (16 * 48 * 48) * (16 / 8) ** 2
    costs = [windows, box * NLM_COST, box * 8 * REFINER_COST, box * MEANS_COST]
    events = [p for p in events if p.steps == 4]
    assert sum(p.preview is not None for p in events) == 1
    fractions = [p.fraction for p in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and events[-1].seconds_left == 0
    of_step = {p.step: p for p in events if p.window == p.windows}  # the last of each
    assert [of_step[i].windows for i in range(4)] == [windows, 2 * 25, 8 * 8, 8]
    ends = np.cumsum(costs) / sum(costs)
    assert [of_step[i].fraction for i in range(4)] == pytest.approx(list(ends))
    seen = look(ct, model, **ARGUMENTS)
    assert seen["seconds"] == pytest.approx(seen["seconds_each"] * sum(costs))
