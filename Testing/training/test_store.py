"""The store on the disk: cropped to the body without changing a crop, read block by block, opened anew in a worker."""

import pickle
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.crops import draw_crop
from MedDiffFMTraining.data.store import BoxGeometry, Case, CaseFacts, FramedArray, open_store, write_case

FACTS = CaseFacts("case", "hash", "chest", (2.0, 1.0, 1.0), 10.0, True)


@pytest.fixture(scope="module")
def arrays():
    """A body of 12 × 30 × 20 voxels with noise, off the middle of 20 × 64 × 80 voxels of even air, and a lesion."""
    rng = np.random.default_rng(0)
    hu = np.full((20, 64, 80), -990, np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    body = (slice(4, 16), slice(20, 50), slice(50, 70))
    hu[body] = rng.integers(-200, 300, (12, 30, 20))
    labels[body] = rng.integers(1, 122, (12, 30, 20))
    lesion = np.zeros(hu.shape, bool)
    lesion[8:10, 30:36, 55:60] = True
    return hu, labels, lesion


@pytest.fixture(scope="module")
def case(arrays, tmp_path_factory):
    hu, labels, lesion = arrays
    return Case(write_case(tmp_path_factory.mktemp("store"), "train", FACTS, hu, labels, lesion, hu + 7))


def test_what_is_stored_is_the_body_and_ten_millimeters(case):
    """Slices of 2 mm: 5 below and 4 above, where the volume ends; 10 voxels on the sides, 10 where the volume ends."""
    assert case.hu.box().shape == (4 + 12 + 4, 10 + 30 + 10, 10 + 20 + 10)
    assert case.geometry == BoxGeometry((20, 64, 80), (0, 10, 40), ((4, 16), (20, 50), (50, 70)), -990)
    assert case.body_box == ((4, 16), (20, 50), (50, 70))


def test_arrays_come_back_in_the_frame_of_the_whole_image(case, arrays):
    hu, labels, lesion = arrays
    assert np.array_equal(case.hu, hu)
    inside = tuple(slice(o, o + n) for o, n in zip(case.geometry.offset, case.hu.box().shape, strict=True))
    assert np.array_equal(case.pair[inside], hu[inside] + 7) and case.pair[0, 0, 0] == -990
    assert np.array_equal(case.labels, labels) and np.array_equal(case.lesion, lesion)
    assert np.array_equal(case.lesion_voxels, np.argwhere(lesion))
    box = (slice(2, 9), slice(0, 33), slice(45, 80))
    assert np.array_equal(case.hu[box], hu[box]) and case.labels[5, 25, 60] == labels[5, 25, 60]
    assert case.hu[0:0, :, :].shape == (0, 64, 80) and case.hu[0:2, 0:5, 0:5].tolist() == hu[0:2, 0:5, 0:5].tolist()


def test_cropping_to_the_body_changes_no_crop(case, arrays):
    """Crops of every level are, to the bit, those of the uncropped arrays: voxels, labels, lesion and position."""
    hu, labels, lesion = arrays
    whole = SimpleNamespace(facts=FACTS, geometry=case.geometry, hu=hu, labels=labels, lesion=lesion, coverage=None)
    whole.lesion_voxels, whole.body_box = np.argwhere(lesion), case.body_box
    for target in ("", "lesion-mask"):
        config = CropConfig(patch=(8, 16, 16), levels=(1, 1, 1, 1), target=target, keep_position=1.0)
        for seed in range(25):
            one, other = (draw_crop(np.random.default_rng(seed), [c], config) for c in (case, whole))
            assert torch.equal(one.x0, other.x0) and torch.equal(one.labels, other.labels)
            assert all(torch.equal(a, b) for a, b in zip(one.axes, other.axes, strict=True))
            assert target == "" or torch.equal(one.target, other.target)


def test_only_the_chunks_of_a_crop_are_read(tmp_path):
    """Noise does not compress: chunks of 64³ int16 take 524 kB each, in order. With all but the first destroyed, a crop
    of the first still reads, and one that needs another does not.
    """
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 3000, (64, 64, 256)).astype(np.int16)
    path = write_case(tmp_path, "train", FACTS, hu, np.ones(hu.shape, np.uint8)) / "hu.b2nd"
    raw = bytearray(path.read_bytes())
    first, last = 700_000, len(raw) - 4096
    raw[first:last] = bytes(last - first)
    path.write_bytes(raw)
    case = Case(path.parent)
    assert np.array_equal(case.hu[0:64, 0:64, 0:64], hu[:, :, :64])
    with pytest.raises((RuntimeError, ValueError)):
        case.hu[0:64, 0:64, 128:256]


def test_a_case_opens_its_arrays_anew_in_another_process(case):
    assert isinstance(case.hu, FramedArray)
    again = pickle.loads(pickle.dumps(case))
    assert "hu" not in vars(again) and np.array_equal(again.hu, case.hu)


def test_a_case_is_replaced_whole(tmp_path, arrays):
    """The second time without a lesion: nothing of the first stays, no hidden folder either."""
    hu, labels, lesion = arrays
    write_case(tmp_path, "train", FACTS, hu, labels, lesion)
    case = Case(write_case(tmp_path, "train", FACTS, hu, labels))
    assert case.lesion is None and len(case.lesion_voxels) == 0 and case.pair is None
    assert [p.name for p in (tmp_path / "train").iterdir()] == ["case"]


def test_values_beyond_the_scanners_are_clipped_and_floats_rounded(tmp_path):
    hu = np.array([-3024.0, -1024.4, 0.6, 3071.0, 9000.0], np.float32) * np.ones((8, 8, 1), np.float32)
    case = Case(write_case(tmp_path, "train", FACTS, hu, np.ones(hu.shape, np.uint8)))
    assert np.asarray(case.hu)[0, 0].tolist() == [-1024, -1024, 1, 3071, 3071]


def test_a_store_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    for name in ("case.json", "hu.npy"):
        (tmp_path / "train" / "a" / name).touch()
    with pytest.raises(InputError, match="prepared by an earlier version"):
        open_store(tmp_path, "train")


def test_a_store_carried_in_a_tar_file_draws_the_same_crops(case, arrays, tmp_path):
    """A store is a plain folder: packed, unpacked under another name, it holds the same voxels and draws the same."""
    hu, _, lesion = arrays
    with tarfile.open(tmp_path / "store.tar", "w") as archive:
        archive.add(case.folder.parents[1], "carried")
    with tarfile.open(tmp_path / "store.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    (carried,) = open_store(tmp_path / "carried", "train")
    assert carried.facts == case.facts and carried.geometry == case.geometry
    assert np.array_equal(carried.hu, hu) and np.array_equal(carried.pair, case.pair)
    assert np.array_equal(carried.lesion, lesion) and np.array_equal(carried.lesion_voxels, case.lesion_voxels)
    config = CropConfig(patch=(8, 16, 16), levels=(1, 1, 1, 1))
    one, other = (draw_crop(np.random.default_rng(1), [c], config) for c in (case, carried))
    assert torch.equal(one.x0, other.x0)
