"""The uncertainty of super-resolution: the refiner's spread over orientations, on the grid of the thin slices."""

import json

import numpy as np
import pytest
import torch
from tiny_model import save_full_tiny_model, save_tiny_controls, save_tiny_model

from MedDiffFMLib.errors import InputError, UsageError
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.refinement.thick_slices import SCALE, THICK_SLICES
from MedDiffFMLib.tasks.one_step_slices import refiner_training_sample
from MedDiffFMLib.tasks.super_resolve import super_resolve
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

BALANCED = {"quality": "balanced", "region": "abdomen", "factor": 2}
SETTINGS = {"super-resolve": {"balanced": {"mirrored": 1, "refiner_mirrored": 8}}}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = save_full_tiny_model(tmp_path_factory.mktemp("model") / "tiny", patch=48)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tasks": SETTINGS}))
    return load_model(folder, "cpu", precision="float32")


@pytest.fixture(scope="module")
def thick(data) -> Volume:
    """Within the real abdomen: 6 slices of 24 × 24 voxels, said to be 5 mm apart, a corner of air."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()[20:44, 40:64, 44:50]
    image.SetSpacing((1.5, 1.5, 5.0))
    volume = Volume.from_sitk(image, "abdomen")
    voxels = volume.voxels.copy()
    voxels[:, :9, :9] = -1000
    return volume.with_voxels(voxels)


def spread_of(model, thick) -> np.ndarray:
    """The standard deviation of S·f over four turns, each mirrored or not, by numpy, in HU."""
    scan, inputs = refiner_training_sample(thick, model, 2, "abdomen")
    features, found = inputs.features(torch.arange(2 * len(inputs.thick))).numpy(), []
    for turns in range(4):
        for step in (1, -1):
            seen = np.ascontiguousarray(np.rot90(features, turns, axes=(-2, -1))[..., ::step])
            with torch.inference_mode():
                f = model.refiner(THICK_SLICES.kind)(torch.from_numpy(seen)).numpy()
            found.append(np.rot90(f[..., ::step], -turns, axes=(-2, -1)))
    return scan.frame.volume, np.std(found, axis=0) * SCALE * (scan.window[1] - scan.window[0]) / 2


def test_a_real_ct_by_an_independent_loop(thick, model):
    result = super_resolve(thick, model, **BALANCED, uncertainty=True)
    frame, expected = spread_of(model, thick)
    spread = result.uncertainty.voxels[:, ::-1, ::-1]  # the frame is RAS
    assert result.uncertainty.same_grid(result.volume) and spread.dtype == np.float32
    given = spread > 0
    assert given.mean() > 0.5 and np.abs(spread - expected)[given].max() < 1e-3 * expected.max()
    assert not spread[:, -9:, -9:][frame.voxels.repeat(2, 0)[:, -9:, -9:] == -1000].any()
    facts = result.facts.to_dict()["uncertainty"]
    assert facts["orientations"] == 8 and facts["full_median_hu"] == pytest.approx(np.median(spread[given]), abs=1e-3)
    plain = super_resolve(thick, model, **BALANCED)
    assert np.array_equal(plain.volume.voxels, result.volume.voxels)
    assert plain.uncertainty is None and "uncertainty" not in plain.facts.to_dict()


def test_coronal_slices_have_it_on_their_own_grid(thick, model):
    turned = Volume(np.ascontiguousarray(np.moveaxis(thick.voxels, 0, 1)), (1.5, 5.0, 1.5), source="coronal")
    result = super_resolve(turned, model, **BALANCED, uncertainty=True)
    assert result.uncertainty.voxels.shape == (24, 12, 24) and result.uncertainty.same_grid(result.volume)
    assert result.uncertainty.voxels.max() > 1


def test_one_orientation_is_refused(thick, model, tmp_path):
    for quality in ("fast", "paper"):
        with pytest.raises(UsageError, match=f"^{quality} uses one orientation, so it has no spread"):
            super_resolve(thick, model, **BALANCED | {"quality": quality}, uncertainty=True)
    walks = load_model(save_tiny_controls(save_tiny_model(tmp_path / "tiny", patch=16)), "cpu", precision="float32")
    with pytest.raises(InputError, match="The model tiny has no network here whose answers in several orientations"):
        super_resolve(thick, walks, **BALANCED, uncertainty=True)
