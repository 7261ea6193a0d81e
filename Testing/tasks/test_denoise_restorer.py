"""A scan denoised by a restorer: in the body alone, by 4 σ at most, without windows; and when it is not asked."""

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model

from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.restorer_folder import LOW_DOSE, save_restorer
from MedDiffFMLib.networks.restorer import Restorer, RestorerConfig, on_any_size
from MedDiffFMLib.parameters import DenoiseParameters
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.refinement.noise_inputs import INPUTS
from MedDiffFMLib.refinement.noise_map import LEAST
from MedDiffFMLib.tasks.denoise import denoise, look
from MedDiffFMLib.tasks.denoise_restorer import MIRRORED, ScanRestorer, restorer_for
from MedDiffFMLib.tasks.scan import analyze_scan
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model with a restorer whose answers are large, so that the limit is met."""
    folder = save_tiny_model(tmp_path_factory.mktemp("model") / "tiny", patch=16)
    torch.manual_seed(0)
    network = Restorer(RestorerConfig(INPUTS, (4, 4, 8, 8)))
    torch.nn.init.normal_(network.leave.weight, std=20.0)
    save_restorer(folder, LOW_DOSE, network)
    return load_model(folder, "cpu", precision="float32")


@pytest.fixture(scope="module")
def scan():
    """A body of soft tissue with a bone, in air, 20 HU of noise in all."""
    z, y, x = np.ogrid[:8, :64, :64]
    body, bone = (y - 32) ** 2 + (x - 32) ** 2 < 26**2, (y - 32) ** 2 + (x - 24) ** 2 < 36
    hu = np.where(body, 40.0, -1000.0) + 1500.0 * bone + 0 * z
    hu = np.maximum(hu + np.random.default_rng(0).normal(0, 20, hu.shape), -1024).astype(np.float32)
    return analyze_scan(Volume(hu, spacing=(1.0, 1.0, 2.0)), "abdomen", Reporter(None))


def test_the_body_is_restored_in_all_tissues_and_the_rest_is_kept(model, scan):
    one = ScanRestorer(scan, model, restorer_for(model, DenoiseParameters(quality="fast")), 20.0, 1)
    hu, found = scan.frame.hu, one.merge_with_input(one.estimate(0, Reporter(None), before=0))
    assert np.array_equal(found[~scan.body], hu[~scan.body])
    change = np.abs(found - hu)
    assert change[(hu > 1200) & scan.body].max() > 1.0  # bone too
    assert change.max() > 4 * LEAST * 20.0
    assert change.max() <= 4 * 20.0 * 5  # σ(x) beside the skin and in bone is never that large
    assert one.facts((0.0, 16.0)).network_evaluations == 8
    assert one.costs == [scan.voxels_in_box]
    assert one.seconds_each > 0


def test_when_the_restorer_is_asked(model, tmp_path):
    for quality in MIRRORED:
        assert restorer_for(model, DenoiseParameters(quality=quality)) is not None
        assert restorer_for(model, DenoiseParameters(quality=quality, alone=True)) is None
    assert restorer_for(model, DenoiseParameters(quality="paper")) is None
    without = load_model(save_tiny_model(tmp_path / "tiny", patch=16), "cpu", precision="float32")
    assert restorer_for(without, DenoiseParameters(quality="fast")) is None


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[10:61, 20:73, 40:48], "abdomen")


def test_denoise_takes_the_restorer(model, ct):
    """By the command's own way: mixed by the strength, without windows, as the facts say; foretold by `look`."""
    result = denoise(ct, model, sigma=20, quality="balanced", strength="full", region="abdomen")
    scan = analyze_scan(ct, "abdomen", Reporter(None))
    one = ScanRestorer(scan, model, model.restorer(LOW_DOSE), 20.0, 4)
    expected = scan.frame.restore(one.merge_with_input(one.estimate(0, Reporter(None), before=0)))
    assert np.abs(result.volume.voxels - expected).max() <= 0.5  # whole HU
    facts = result.facts.to_dict()
    assert (facts["restorer"], facts["refiner"], facts["non_local_means"]) == ("low-dose", "none", 0.0)
    assert (facts["windows"], facts["window_hu"], facts["timesteps"]) == (0, [], [])
    assert facts["network_evaluations"] == 4 * 8 == look(ct, model, sigma=20, region="abdomen")["network_evaluations"]
    half = denoise(ct, model, sigma=20, quality="balanced", strength=50, region="abdomen")
    mean = (ct.voxels.astype(np.float32) + result.volume.voxels) / 2
    assert np.abs(half.volume.voxels - mean).max() <= 0.5


def test_steps_and_the_paper_go_to_the_foundation_model(model, ct):
    for how in ({"quality": "fast", "steps": 1}, {"quality": "fast", "alone": True}):
        facts = denoise(ct, model, sigma=20, region="abdomen", **how).facts
        assert facts.restorer == "none" and facts.windows > 0


@pytest.mark.parametrize("shape", [(5, 33, 47), (5, 16, 32)])
def test_any_size_is_answered_as_a_padded_one(model, shape):
    """Edge pixels are repeated to the next multiple of 16; nothing else changes."""
    restorer = model.restorer(LOW_DOSE)
    features = torch.randn(2, INPUTS, *shape[1:], generator=torch.Generator().manual_seed(0))
    padded = np.pad(features.numpy(), ((0, 0), (0, 0), (0, -shape[1] % 16), (0, -shape[2] % 16)), mode="edge")
    with torch.inference_mode():
        expected = restorer(torch.from_numpy(padded))[:, : shape[1], : shape[2]]
        assert torch.equal(on_any_size(restorer)(features), expected)
