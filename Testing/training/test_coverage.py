"""CTs that were given in part: the blank is never air, and what is said of it does not count."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.volumes.intensity import to_model
from MedDiffFMTraining.data.coverage import given_box
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import draw_crop, drawable_cases
from MedDiffFMTraining.data.low_dose import simulate_noise
from MedDiffFMTraining.data.manifest import read_manifest, write_manifest
from MedDiffFMTraining.data.prepare import Settings
from MedDiffFMTraining.data.project_data import manifest_lines
from MedDiffFMTraining.data.run import prepare_manifest
from MedDiffFMTraining.data.store import open_store
from MedDiffFMTraining.learn.batches import TrainingBatch
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.loss import given_voxels, mean_error
from MedDiffFMTraining.learn.trainer import Trainer


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """16 slices of a real abdomen as OpenKBP's are: given in a ball of 84 mm alone, −1024 HU elsewhere."""
    folder = tmp_path_factory.mktemp("partial")
    image = sitk.ReadImage(str(data / "abd_ts_example.nii.gz"))[:, :, 50:66]
    hu = sitk.GetArrayFromImage(image)
    z, y, x = np.ogrid[[slice(n) for n in hu.shape]]
    given = (z - 8) ** 2 + (y - 50) ** 2 + (x - 60) ** 2 < 14**2
    for name, array in (("pt_1", np.where(given, hu, -1024)), ("pt_1_cov", given.astype(np.uint8))):
        file = sitk.GetImageFromArray(array)
        file.CopyInformation(image)
        sitk.WriteImage(file, str(folder / f"{name}.nii.gz"))
    write_manifest(folder / "manifest.csv", manifest_lines(folder))
    return folder


@pytest.fixture(scope="module")
def case(folder):
    (outcome,) = prepare_manifest(folder / "manifest.csv", folder / "store", Settings(None))
    assert outcome.status == "warning" and any("given in part" in reason for reason in outcome.reasons)
    return open_store(folder / "store", "train")[0]


def test_the_blank_continues_what_is_nearest():
    hu = np.array([[[-1024, 10, 20, -1024, -1024, 70, -1024]]])
    labels = np.array([[[0, 118, 3, 0, 0, 120, 0]]], np.uint8)
    made = given_box(hu, labels, np.array([[[False, True, True, False, False, True, False]]]))
    assert [array.ravel().tolist() for array in made] == [
        [10, 20, 20, 70, 70],
        [118, 3, 3, 120, 120],
        [True, True, False, False, True],
    ]
    with pytest.raises(InputError, match="marks no voxel"):
        given_box(hu, labels, np.zeros(hu.shape, bool))


def test_prepared_it_is_the_box_of_what_was_given(folder, case):
    """In RAS order: LPS files turn over in x and y."""
    hu, given = (sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"pt_1{n}.nii.gz"))) for n in ("", "_cov"))
    box = (slice(None), slice(37, 64), slice(47, 74))  # a ball of radius below 14: ± 13 voxels
    hu, given = (array[box][:, ::-1, ::-1] for array in (hu, given))
    assert case.hu.shape == hu.shape and np.array_equal(case.coverage, given > 0)
    assert np.array_equal(np.asarray(case.hu)[given > 0], hu[given > 0])
    outside = np.asarray(case.hu)[given == 0]
    assert outside.size > 1000 and -1024 not in outside and set(outside) <= set(hu[given > 0])
    assert not case.facts.placed and case.facts.name == "openkbp_pt_1" and not simulate_noise(case)


def test_a_blank_is_not_resampled_nor_paired(folder, tmp_path):
    (outcome,) = prepare_manifest(folder / "manifest.csv", tmp_path / "store", Settings(1.0))
    assert outcome.status == "refused" and "--spacing own" in outcome.reasons[0]
    lines = [line | {"lesion": "mask.nii.gz"} for line in manifest_lines(folder)]
    write_manifest(tmp_path / "manifest.csv", lines)
    with pytest.raises(InputError, match="no lesion and no pair"):
        read_manifest(tmp_path / "manifest.csv")


def test_it_is_drawn_only_where_a_recipe_says_so(case, train_cases):
    both = [*train_cases, case]
    assert drawable_cases(both, CropConfig())[1].tolist() == [1, 0]
    assert drawable_cases(both, CropConfig(partial=0.25))[1].tolist() == [0.8, 0.2]
    assert drawable_cases(both, CropConfig(target="thick-ct"))[0] == list(train_cases)


def test_a_crop_knows_what_was_given(case):
    """Drawn on its own grid at any setting, around what was given; the box is found again by its HU."""
    config = CropConfig(patch=(8, 16, 16), levels=(1, 1, 1, 0), bin_in_plane=1.0, partial=1.0)
    crops = [draw_crop(np.random.default_rng(n), [case], config) for n in range(20)]
    assert all(crop.level == "own" and crop.covered.float().mean() >= 0.5 for crop in crops)
    assert any(not crop.covered.all() for crop in crops)
    x0, given = to_model(np.asarray(case.hu), REGIONS["head-neck"].window), np.asarray(case.coverage)
    boxes = np.lib.stride_tricks.sliding_window_view(x0, config.patch)
    (start,) = np.argwhere((boxes == crops[0].x0[0].numpy()).all(axis=(3, 4, 5)))
    box = tuple(slice(s, s + n) for s, n in zip(start, config.patch, strict=True))
    assert np.array_equal(crops[0].covered, given[box])
    mirrored = draw_crop(np.random.default_rng(0), [case], replace(config, mirrored=(("head-neck", 1.0),)))
    assert np.array_equal(mirrored.covered, given[box][..., ::-1])


def test_the_loss_counts_what_was_given(case, train_cases, tmp_path):
    """By hand, and through a trainer: noise and truth changed in the blank alone change the target, not the loss."""
    crop = draw_crop(np.random.default_rng(0), [case], CropConfig(patch=(16, 16, 16), partial=1.0))
    error = torch.ones(2, 1, 16, 16, 16)
    error[0, 0][~crop.covered] = 100
    error[1, 0, 0] = 17
    plain = replace(crop, covered=None)
    assert mean_error(error, given_voxels([crop, plain])).tolist() == [1.0, 2.0]
    nothing = replace(crop, covered=torch.zeros_like(crop.covered))
    assert mean_error(error, given_voxels([nothing, plain])).tolist() == [0.0, 2.0]
    trainer = Trainer(PretrainConfig(), train_cases, tmp_path)
    epsilon = torch.randn(1, 16, 16, 16)
    other = torch.where(crop.covered, epsilon, epsilon + 3)
    batches = [TrainingBatch(crop.x0[None], e[None], torch.tensor([500]), [crop]) for e in (epsilon, other)]
    assert not torch.equal(trainer.target(batches[0]), trainer.target(batches[1]))
    with torch.no_grad():
        first, second = (trainer.losses(batch) for batch in batches)
    assert torch.equal(first, second) and first > 0
