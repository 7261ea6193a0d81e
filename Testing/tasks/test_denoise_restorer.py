"""A scan denoised by a restorer: in the body alone, by 4 σ at most, without windows; and when it is not asked."""

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model

from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.restorer_folder import LOW_DOSE, save_restorer
from MedDiffFMLib.networks.restorer import Restorer, RestorerConfig
from MedDiffFMLib.parameters import DenoiseParameters
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.refinement.noise_inputs import INPUTS
from MedDiffFMLib.refinement.noise_map import LEAST
from MedDiffFMLib.tasks.denoise_restorer import MIRRORED, ScanRestorer, restorer_for
from MedDiffFMLib.tasks.scan import analyze_scan
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
    one = ScanRestorer(scan, restorer_for(model, DenoiseParameters(quality="fast")), 20.0, 1, model.device)
    hu, found = scan.frame.hu, one.merge_with_input(one.estimate(0, Reporter(None), before=0))
    assert np.array_equal(found[~scan.body], hu[~scan.body])
    change = np.abs(found - hu)
    assert change[(hu > 1200) & scan.body].max() > 1.0  # bone too
    assert change.max() > 4 * LEAST * 20.0
    assert change.max() <= 4 * 20.0 * 5  # σ(x) beside the skin and in bone is never that large
    assert one.facts().network_evaluations == 8
    assert one.costs == [scan.voxels_in_box]
    assert one.seconds_each > 0


def test_when_the_restorer_is_asked(model, tmp_path):
    for quality in MIRRORED:
        assert restorer_for(model, DenoiseParameters(quality=quality)) is not None
        assert restorer_for(model, DenoiseParameters(quality=quality, alone=True)) is None
    assert restorer_for(model, DenoiseParameters(quality="paper")) is None
    without = load_model(save_tiny_model(tmp_path / "tiny", patch=16), "cpu", precision="float32")
    assert restorer_for(without, DenoiseParameters(quality="fast")) is None
