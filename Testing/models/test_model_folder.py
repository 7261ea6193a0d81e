"""A model folder holds what was saved, and says clearly when it does not."""

import hashlib
import json
import math

import numpy as np
import pytest
import torch
from tiny_model import TINY, make_tiny_network, save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.config import verify
from MedDiffFMLib.models.device import choose_device, choose_dtype, gpus, has_native_bfloat16
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.models.loading import load_model


@pytest.fixture
def folder(tmp_path):
    return save_tiny_model(tmp_path / "tiny")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def predict(network):
    torch.manual_seed(1)
    x, position, anatomy = torch.randn(1, 1, 8, 8, 8), torch.randn(1, 24, 8, 8, 8), torch.zeros(1, 7, 8, 8, 8)
    with torch.no_grad():
        return network(x, torch.tensor([87]), position, anatomy, torch.tensor([2]))


def test_loaded_model_predicts_what_the_saved_network_did(folder):
    model = load_model(folder, device="cpu", precision="float32")
    expected = predict(make_tiny_network())
    assert torch.equal(predict(model.network), expected) and expected.std() > 0.01
    assert (model.name, model.source, model.device.type, model.dtype) == ("tiny", "folder", "cpu", torch.float32)
    assert not model.network.training and not any(p.requires_grad for p in model.network.parameters())


def test_schedule_survives_json_to_the_last_bit(folder):
    """ᾱ_t, a cumulative product, once more from its definition (Nichol & Dhariwal, eq. 17) with Python's floats."""
    f = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(1001)]
    alpha_bar, product = [], 1.0
    for t in range(1000):
        product *= 1 - min(1 - f[t + 1] / f[t], 0.999)
        alpha_bar.append(product)
    loaded = load_model(folder, device="cpu").schedule.alpha_bar
    assert loaded.dtype == np.float64
    np.testing.assert_allclose(loaded, alpha_bar, rtol=1e-12)


def test_checksum_is_that_of_the_file(folder):
    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load_model(folder, device="cpu").sha256 == expected == verify(folder)["weights"]["sha256"]


def test_float16_folder_is_half_the_size_and_close(tmp_path, folder):
    half = save_tiny_model(tmp_path / "half", float16=True)
    size, half_size = ((f / "model.safetensors").stat().st_size for f in (folder, half))
    assert 0.45 < half_size / size < 0.6
    network = load_model(half, device="cpu").network
    assert next(network.parameters()).dtype == torch.float32
    difference = (predict(network) - predict(make_tiny_network())).abs().max()
    assert 0 < difference < 0.01


def test_one_changed_byte_of_the_weights_is_found(folder):
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match="checksum"):
        load_model(folder, device="cpu")


def test_a_later_format_is_refused(folder):
    edit_config(folder, format=2)
    with pytest.raises(InputError, match=r"format 2.*update"):
        load_model(folder, device="cpu")


def test_other_hu_windows_are_refused(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["conditions"]["regions"]["chest"]["window_hu"] = [-1000, 400]
    edit_config(folder, conditions=config["conditions"])
    with pytest.raises(InputError, match="HU windows"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        load_model(folder, device="cpu")


def test_weights_of_another_architecture_are_refused(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    edit_config(folder, architecture=config["architecture"] | {"channels": [16, 16, 32], "norm_groups": 16})
    with pytest.raises(InputError, match="do not fit the architecture"):
        load_model(folder, device="cpu")


def test_a_pickle_in_place_of_the_weights_is_never_opened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save(Trap(), folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    edit_config(folder, weights=config["weights"] | {"sha256": digest})
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_model(folder, device="cpu")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("alpha_bar", [[], [0.1, 0.9], [0.9, "x"], [1.5, 0.5], None])
def test_a_schedule_that_is_none_is_refused(folder, alpha_bar):
    edit_config(folder, schedule={"kind": "cosine", "alpha_bar": alpha_bar})
    with pytest.raises(InputError, match="schedule"):
        load_model(folder, device="cpu")


def test_saving_refuses_nan_and_leaves_nothing(tmp_path):
    state = make_tiny_network().state_dict()
    state["unet.out.2.conv.bias"] = torch.tensor([float("nan")])
    with pytest.raises(InputError, match="finite"):
        save_model_folder(tmp_path / "bad", state, model_config("bad", TINY))
    assert list(tmp_path.iterdir()) == []


def test_saving_keeps_what_stands_unless_told(folder):
    before = (folder / "config.json").read_bytes()
    with pytest.raises(InputError, match="exists"):
        save_tiny_model(folder, name="other")
    assert (folder / "config.json").read_bytes() == before
    save_tiny_model(folder, name="other", overwrite=True)
    assert load_model(folder, device="cpu").name == "other"


def test_devices_and_precisions_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="no device 'tpu'"):
        choose_device("tpu")
    with pytest.raises(InputError, match=r"no GPU 'cuda:99', PyTorch sees none: use --device cpu or another GPU"):
        choose_device("cuda:99")
    with pytest.raises(InputError, match="no GPU 'mps', PyTorch sees none"):
        choose_device("mps")
    with pytest.raises(InputError, match="float16 needs a GPU"):
        choose_dtype("float16", torch.device("cpu"))


def test_several_gpus_are_chosen_and_refused_by_number_and_name(monkeypatch):
    """No GPU is here: PyTorch's answers are those of a computer with two, and of a Mac."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", ["NVIDIA A", "NVIDIA B"].__getitem__)
    assert gpus() == {"cuda:0": "NVIDIA A", "cuda:1": "NVIDIA B"}
    assert [str(choose_device(name)) for name in ("auto", "cuda", "cuda:1", "cpu")] == [
        "cuda:0",
        "cuda:0",
        "cuda:1",
        "cpu",
    ]
    with pytest.raises(InputError, match=r"'cuda:2', PyTorch sees cuda:0 \(NVIDIA A\), cuda:1 \(NVIDIA B\): use"):
        choose_device("cuda:2")


def test_an_apple_gpu_computes_only_if_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert [str(choose_device(name)) for name in ("auto", "mps", "mps:0")] == ["cpu", "mps", "mps"]
    assert gpus() == {"mps": "Apple GPU, not tried by the authors"}
    assert not has_native_bfloat16(torch.device("mps"))
    with pytest.raises(InputError, match="no GPU 'mps:1'"):
        choose_device("mps:1")


@pytest.mark.skipif(not __import__("pathlib").Path("/proc/cpuinfo").exists(), reason="needs Linux's /proc/cpuinfo")
def test_bfloat16_is_native_only_where_the_processor_has_it():
    """Against what the kernel says about the processor, not against PyTorch."""
    flags = open("/proc/cpuinfo").read()
    if "avx512f" not in flags and "avx2" not in flags:
        pytest.skip("not an x86 processor")
    native = "avx512_bf16" in flags or "amx_bf16" in flags
    assert has_native_bfloat16(torch.device("cpu")) == native
