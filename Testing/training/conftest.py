"""A training store of the repository's real CT, in small."""

from __future__ import annotations

import pytest
import SimpleITK as sitk
from small_store import add_case

from MedDiffFMTraining.data.store import CaseFacts, open_store


@pytest.fixture(scope="session")
def two_cases(data, tmp_path_factory):
    """An abdomen to train with and a chest to validate with, 16 slices of each."""
    folder = tmp_path_factory.mktemp("two") / "store"
    for split, name, region in (("train", "abd_ts_example", "abdomen"), ("validation", "chest_ts_aorta", "chest")):
        image = sitk.ReadImage(str(data / f"{name}.nii.gz"))[:, :, 50:66]
        labels = sitk.ReadImage(str(data / f"{name}_seg.nii.gz"))[:, :, 50:66]
        facts = CaseFacts(name, name, region, tuple(image.GetSpacing()[::-1]), 10.0, True)
        add_case(folder, split, facts, image, labels)
    return folder


@pytest.fixture(scope="session")
def train_cases(two_cases):
    return open_store(two_cases, "train")


@pytest.fixture(scope="session")
def validation_cases(two_cases):
    return open_store(two_cases, "validation")
