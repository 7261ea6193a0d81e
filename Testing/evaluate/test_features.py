"""The networks that images are compared by: which they are, and that they are what is said."""

from dataclasses import replace

import huggingface_hub
import numpy as np
import pytest
import torch
from tiny_model import make_tiny_network

pytest.importorskip("medmetric", reason="medmetric is not installed (extra 'training')")

from medmetric.extractors.medicalnet import MedicalNetFeatureExtractor
from medmetric.hub.medicalnet import get_medicalnet_entry

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.evaluate.metrics.features import load_features, own_features


def test_medicalnet_from_a_file(tmp_path, tiny_model):
    """A stand-in of the real file's form: ResNet-10 with random weights, which the report then says."""
    entry = get_medicalnet_entry(depth=10)
    torch.manual_seed(0)
    network = MedicalNetFeatureExtractor(depth=10, pooled=False, layers=entry.layers, block=entry.block).eval()
    weights = {f"module.{name}": value for name, value in network.model.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "resnet_10.pth")
    features = load_features(str(tmp_path / "resnet_10.pth"), tiny_model)
    assert features.name.startswith("MedicalNet ResNet-10, other weights") and features.name in features.note
    x = np.random.default_rng(0).normal(3, 2, (64, 64, 70)).astype(np.float32)
    maps = features.maps(x, "chest")
    assert len(maps) == 2 and maps[0].shape == (1, 512, 8, 8, 8)
    white = torch.from_numpy((x - x.mean()) / x.std(ddof=1))[None, None]
    for found, first in zip(maps, (0, 6), strict=True):
        assert torch.allclose(found, network(white[..., first : first + 64]), atol=1e-4)


def test_the_files_that_medmetric_pins_are_the_published_ones():
    """SHA-256 as the Hub's repositories TencentMedicalNet/MedicalNet-Resnet10 and -Resnet50 show them."""
    assert get_medicalnet_entry(depth=10).sha256[:12] == "afa8055f3e47"
    assert get_medicalnet_entry(depth=50).sha256[:12] == "ff48a6221907"


def test_without_a_connection_it_says_what_to_do(tmp_path, tiny_model, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"could not be downloaded .*resnet_50_23dataset.pth.*--features FILE"):
        load_features("medicalnet", tiny_model)


def test_what_is_no_medicalnet_is_refused(tmp_path, tiny_model):
    with pytest.raises(InputError, match="There is no file"):
        load_features(str(tmp_path / "none.pth"), tiny_model)
    torch.save({"state_dict": {"layer1.0.conv1.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="holds no ResNet"):
        load_features(str(tmp_path / "other.pth"), tiny_model)
    torch.save({"state_dict": {}, "code": np.random.default_rng}, tmp_path / "code.pth")  # a pickle that would run code
    with pytest.raises(InputError, match="cannot be read"):
        load_features(str(tmp_path / "code.pth"), tiny_model)


def test_own_features_see_the_image_and_the_region(tiny_model):
    network = make_tiny_network()
    for weights in network.parameters():
        if not weights.any():  # untrained blocks end in zeros, and would pass on the image alone
            torch.nn.init.normal_(weights, std=0.1)
    tiny_model = replace(tiny_model, network=network)
    features = own_features(tiny_model)
    assert load_features("none", tiny_model) is None and "not with the paper's" in features.note
    x = np.random.default_rng(0).uniform(-1, 1, (20, 30, 64)).astype(np.float32)
    (one,) = features.maps(x, "chest")
    assert one.shape[:2] == (1, 16) and torch.equal(one, features.maps(x, "chest")[0])
    assert not torch.allclose(one, features.maps(-x, "chest")[0])
    assert not torch.equal(one, features.maps(x, "abdomen")[0])
