"""The uncertainty of denoising: the spread over orientations in HU, by hand and by an independent loop over them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import save_tiny_model, save_tiny_refiner

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import InputError, UsageError
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.refiner import apply_slabwise
from MedDiffFMLib.networks.restorer import Restorer, RestorerConfig
from MedDiffFMLib.refinement.low_dose import LOW_DOSE, LowDoseInputs
from MedDiffFMLib.refinement.noise_inputs import INPUTS, NoiseInputs
from MedDiffFMLib.refinement.noise_map import local_noise
from MedDiffFMLib.tasks.denoise import denoise, refiner_training_sample
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume, to_ras

BALANCED = {"sigma": 20, "quality": "balanced", "region": "abdomen", "anatomy": "auto", "seed": 1}
SETTINGS = {"tasks": {"denoise": {"balanced": {"steps": 1, "nlm_share": 0.5, "mirrored": 8}}}}


def column(features: torch.Tensor) -> torch.Tensor:
    """A network that answers the number of the column, whatever it sees: (n, inputs, Y, X) → (n, Y, X)."""
    return torch.arange(features.shape[-1]).float().expand(features[:, 0].shape)


class Columns(Restorer):
    """A restorer that answers the number of the column."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return column(features)


def slabwise(mirrored: int, size: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.zeros(3, size, size)
    spread = torch.full_like(image, torch.nan)
    mean = apply_slabwise(column, lambda z: image[z, None], image, mirrored, lambda done, total: None, spread)
    return mean, spread


@pytest.mark.parametrize("mirrored", [2, 4])
def test_the_spread_of_mirror_images_by_hand(mirrored):
    """Columns 0 … 4 and, mirrored, 4 … 0: mean 2, half of them x, half 4 − x, so σ = |x − 2|; x = 3: 3 and 1, σ = 1."""
    mean, spread = slabwise(mirrored)
    assert torch.allclose(mean, torch.full_like(mean, 2.0))
    assert torch.allclose(spread, torch.tensor([2.0, 1, 0, 1, 2]).expand(3, 5, 5))


def test_the_spread_of_all_eight_by_hand():
    """Turned ones answer y and 4 − y: σ² = ((x − 2)² + (y − 2)²)/2. At (x, y) = (4, 2): 4, 0, 2, 2: √2."""
    mean, spread = slabwise(8)
    assert torch.allclose(mean, torch.full_like(mean, 2.0))
    assert spread[1, 2, 4] == pytest.approx(2**0.5) and spread[2, 0, 0] == pytest.approx(2.0)
    assert spread[0, 2, 2] == 0 and torch.equal(spread, spread.mT)


def test_one_orientation_has_none_and_the_mean_is_the_same_to_the_last_bit():
    image = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0))

    def network(features):
        return torch.sin(7 * features[:, 0] * column(features))

    for mirrored in (1, 4, 8):
        spread = torch.empty_like(image)
        how = (lambda z: image[z, None], image, mirrored, lambda done, total: None)
        assert torch.equal(apply_slabwise(network, *how), apply_slabwise(network, *how, spread))
        assert (mirrored == 1) == (float(spread.abs().max()) == 0)


def test_what_a_refiner_and_a_restorer_make_of_it():
    """σ_n·|x − 2| in the model's range, and σ(x)·|x − 2| in HU."""
    image, spread = torch.zeros(3, 5, 5), torch.empty(3, 5, 5)
    LowDoseInputs(image, image, image, 0.1).apply_refiner(column, 2, spread=spread)
    assert torch.allclose(spread, 0.1 * torch.tensor([2.0, 1, 0, 1, 2]).expand(3, 5, 5))
    y = torch.from_numpy(np.random.default_rng(0).normal(40, 20, (4, 32, 32)).astype(np.float32))
    sigma, spread = local_noise(y, (2.0, 1.0, 1.0)), torch.empty_like(y)
    told, restorer = NoiseInputs(y, sigma, 1.0, (2.0, 1.0, 1.0)), Columns(RestorerConfig(INPUTS, (4, 4, 8, 8)))
    assert torch.equal(told.restored(restorer, 2, spread=spread), told.restored(restorer, 2))
    expected = sigma.at(torch.arange(4)) * (torch.arange(32) - 15.5).abs()
    assert torch.allclose(spread, expected, rtol=1e-5) and spread.max() > 100


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    """A corner of the real abdomen with body, bone and air."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[0:44, 20:64, 44:52], "abdomen")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model with a refiner of random weights, which answers every orientation in another way."""
    folder = save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    save_tiny_refiner(folder, LOW_DOSE)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | SETTINGS))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, "cpu", precision="float32")


def answers(model, ct) -> tuple[np.ndarray, np.ndarray]:
    """The refined estimates of a CT in HU in all eight orientations, one by one in numpy, and the scan in the frame."""
    scan, inputs = refiner_training_sample(ct, model, 20, "abdomen")
    refiner, features, found = model.refiner(LOW_DOSE.kind), inputs.features(torch.arange(len(inputs.y))).numpy(), []
    for turns in range(4):
        for flip in (False, True):
            seen = np.rot90(features, turns, axes=(-2, -1))
            seen = seen[..., ::-1] if flip else seen
            with torch.inference_mode():
                f = refiner(torch.from_numpy(np.ascontiguousarray(seen))).numpy()
            f = np.rot90(f[..., ::-1] if flip else f, -turns, axes=(-2, -1))
            found.append(inputs.sigma_n * f * (scan.window[1] - scan.window[0]) / 2)
    return np.stack(found), scan


def test_a_real_ct_by_an_independent_loop(ct, model):
    """A body that fills its box but for a corner, on its own grid: four turns, each mirrored or not, by numpy."""
    voxels = np.ascontiguousarray(ct.voxels[:, 20:44, 20:44])
    voxels[:, :9, :9] = -1000
    part = Volume(voxels, (3.0, 2.0, 5.0), source="part")
    result = denoise(part, model, **BALANCED, strength="full", uncertainty=True)
    found, scan = answers(model, part)
    expected = scan.frame.restore(found.std(axis=0))
    spread, kept = result.uncertainty.voxels, result.volume.voxels == part.voxels
    assert spread.dtype == np.float32 and spread.shape == voxels.shape and result.uncertainty.same_grid(part)
    given = spread > 0
    assert np.abs(spread - expected)[given].max() < 1e-3 * expected.max() and expected.max() > 1
    assert given[~kept].all() and not spread[:, :9, :9].any()
    facts = result.facts.to_dict()["uncertainty"]
    assert facts["orientations"] == 8
    assert facts["full_median_hu"] == pytest.approx(np.median(spread[given]), abs=1e-3)
    assert facts["full_percentile_95_hu"] == pytest.approx(np.percentile(spread[given], 95), abs=1e-3)


def test_the_strength_scales_it_and_the_result_is_untouched(ct, model):
    full, half = (denoise(ct, model, **BALANCED, strength=s, uncertainty=True) for s in ("full", "light"))
    assert np.array_equal(half.uncertainty.voxels, full.uncertainty.voxels * np.float32(0.5))
    assert not denoise(ct, model, **BALANCED, strength=0, uncertainty=True).uncertainty.voxels.any()
    plain = denoise(ct, model, **BALANCED, strength="light")
    assert np.array_equal(plain.volume.voxels, half.volume.voxels)
    assert plain.uncertainty is None and "uncertainty" not in plain.facts.to_dict()
    assert list(plain.outputs()) == ["output"]


def test_on_another_grid(ct, model):
    """Never below 0, though cubic splines overshoot."""
    config = {"tasks": {"denoise": {"balanced": SETTINGS["tasks"]["denoise"]["balanced"] | {"spacing_mm": 2.0}}}}
    coarse = replace(model, config=config)
    result = denoise(ct, coarse, **BALANCED, uncertainty=True)
    assert result.uncertainty.same_grid(ct) and result.uncertainty.voxels.min() == 0
    assert result.uncertainty.voxels.max() > 1
    assert not result.uncertainty.voxels[ct.voxels < -950].max() > result.uncertainty.voxels.max() / 2


@pytest.mark.parametrize("quality", ["fast", "paper"])
def test_one_orientation_is_refused_before_anything_is_computed(ct, model, quality):
    with pytest.raises(UsageError, match=f"^{quality} uses one orientation, so it has no spread"):
        denoise(ct, model, **BALANCED | {"quality": quality}, uncertainty=True)


def test_a_model_without_orientations_is_refused(ct, tiny_model, model):
    with pytest.raises(InputError, match="The model tiny has no network here whose answers in several orientations"):
        denoise(ct, tiny_model, **BALANCED, uncertainty=True)
    with pytest.raises(UsageError, match="--alone uses one orientation, so it has no spread"):
        denoise(ct, model, **BALANCED, alone=True, uncertainty=True)


def command(folder, model, *more):
    words = ["denoise", str(folder / "ct.nii.gz"), str(folder / "out.nii.gz"), "--model", str(model), "-q"]
    words += ["--sigma", "20", "--region", "abdomen", "--precision", "float32", "--device", "cpu"]
    return main([*words, *more])


def test_the_command_line_writes_it_with_its_provenance(ct, folder, model, tmp_path):
    write_volume(ct, tmp_path / "ct.nii.gz")
    assert command(tmp_path, folder, "--uncertainty", str(tmp_path / "spread.nii.gz"), "--strength", "40") == 0
    expected = denoise(ct, model, **BALANCED | {"seed": 0}, strength=40, uncertainty=True)
    written = read_volume(tmp_path / "spread.nii.gz")
    assert np.array_equal(written.voxels, expected.uncertainty.voxels)
    assert np.array_equal(read_volume(tmp_path / "out.nii.gz").voxels, expected.volume.voxels)
    record = json.loads((tmp_path / "spread.json").read_text())
    assert record["output"] == "uncertainty" and record["facts"]["strength_percent"] == 40
    assert record["facts"]["uncertainty"] == expected.facts.to_dict()["uncertainty"]
    assert json.loads((tmp_path / "out.json").read_text())["facts"] == record["facts"]


def test_a_box_has_none_around_it(ct, folder, tmp_path):
    write_volume(ct, tmp_path / "ct.nii.gz")
    corners = np.array([to_ras(ct, np.array(index)) for index in ((0, 0, 0), np.array(ct.voxels.shape) - (1, 1, 11))])
    ends = [f"{low},{high}" for low, high in zip(corners.min(axis=0), corners.max(axis=0), strict=True)]
    assert command(tmp_path, folder, "--uncertainty", str(tmp_path / "s.nii.gz"), f"--roi={','.join(ends)}") == 0
    spread, changed = read_volume(tmp_path / "s.nii.gz").voxels, read_volume(tmp_path / "out.nii.gz").voxels
    assert spread.shape == ct.voxels.shape and spread.any() and not spread[..., -10:].any()
    assert np.array_equal(changed[..., -10:], ct.voxels[..., -10:])


@pytest.mark.parametrize("quality", ["fast", "paper"])
def test_the_command_line_refuses_one_orientation(ct, folder, tmp_path, capsys, quality):
    write_volume(ct, tmp_path / "ct.nii.gz")
    assert command(tmp_path, folder, "--uncertainty", str(tmp_path / "s.nii.gz"), "--quality", quality) == 2
    said = capsys.readouterr().err
    assert f"{quality} uses one orientation, so it has no spread for --uncertainty: choose --quality balanced." in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz"]
