"""The bundled model on real CT that it never saw (chest_ts_aorta): better than the input and than smoothing."""

import numpy as np
import pytest

from MedDiffFMLib.anatomy.tissue import body_mask
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.volumes.volume import Volume
from MedDiffFMTraining.evaluate.baselines.classical import denoise_classically
from MedDiffFMTraining.evaluate.cases.volumes import load_case
from MedDiffFMTraining.evaluate.metrics.psnr_ssim import quality, to_unit


@pytest.fixture(scope="module")
def model():
    return load_model("meddiff-fm-small", device="cpu")


@pytest.fixture(scope="module")
def case(data):
    return load_case(data / "chest_ts_aorta.nii.gz", "chest", slices=16)


@pytest.fixture(scope="module")
def fast(model, case):
    return denoise(case.low, model, sigma=case.sigma_hu, quality="fast", region="chest", strength="full")


def test_the_model_is_verified_and_small(model):
    assert sum(p.numel() for p in model.network.parameters()) == 7_208_385
    assert (model.folder / "model.safetensors").stat().st_size <= 16 * 2**20
    assert model.config["training"]["steps"] > 0
    assert "research" in (model.folder / "README.md").read_text(encoding="utf-8").lower()


def test_denoising_gains(case, fast):
    """More than 1.5 dB over the low dose, and more than total variation with the same knowledge of σ."""
    body = body_mask(case.full.voxels)
    before = quality(case.low.voxels, case.full.voxels, body, case.window)
    after = quality(fast.volume.voxels, case.full.voxels, body, case.window)
    assert after.psnr - before.psnr > 1.5 and after.ssim > before.ssim
    low, high = case.window
    smooth = denoise_classically("tv", to_unit(case.low.voxels, case.window), case.sigma_hu / (high - low))
    assert after.psnr > quality(smooth * (high - low) + low, case.full.voxels, body, case.window).psnr
    assert fast.noise_after_hu < 0.4 * fast.noise_before_hu


def test_tissue_keeps_its_hu(case, fast):
    """The median of blood, muscle and lung moves by less than 10 HU: noise goes, anatomy stays."""
    for low, high in ((-950, -750), (0, 80), (250, 380)):
        there = (case.full.voxels > low) & (case.full.voxels < high)
        change = np.median(fast.volume.voxels[there]) - np.median(case.full.voxels[there])
        assert there.sum() > 1000 and abs(change) < 10, (low, high)


def test_noise_in_air_does_not_become_tissue(model):
    """A cylinder of water in noisy air: the air keeps its voxels, the water becomes even."""
    z, y, x = np.mgrid[:16, :96, :96]
    inside = np.hypot(y - 48, x - 48) < 30
    noise = np.random.default_rng(0).normal(0, 40, inside.shape)
    hu = (np.where(inside, 30.0, -1000.0) + noise + 0 * z).astype(np.float32)
    options = {"sigma": 40, "quality": "fast", "region": "chest", "strength": "full"}
    result = denoise(Volume(hu, source="phantom"), model, **options).volume.voxels
    outside = np.hypot(y - 48, x - 48) > 36
    assert np.array_equal(result[outside], hu[outside])
    core = np.hypot(y - 48, x - 48) < 24
    assert result[core].std() < 0.35 * hu[core].std()
    assert abs(result[core].mean() - 30) < 5


def test_the_same_seed_gives_the_same_voxels(model, case, fast):
    again = denoise(case.low, model, sigma=case.sigma_hu, quality="fast", region="chest", strength="full")
    assert np.array_equal(again.volume.voxels, fast.volume.voxels)
