"""Networks evaluated by OpenVINO: PyTorch's outputs, or PyTorch itself and one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tiny_model import TINY, save_tiny_controls, save_tiny_model, save_tiny_refiner

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.jobs.job import run_job
from MedDiffFMLib.models.device import RUNTIME_VARIABLE, choose_runtime
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.openvino_runtime import SHAPES, CompiledNetwork
from MedDiffFMLib.models.representations import FOLDER
from MedDiffFMLib.networks.unet import Denoiser
from MedDiffFMLib.parameters import CommonParameters, DenoiseParameters, SuperResolveParameters
from MedDiffFMLib.refinement.low_dose import LOW_DOSE

pytest.importorskip("openvino")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data folder of its own, so that nothing was converted before."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDDIFF_FM_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model with ControlNets and a refiner, none of them trained."""
    folder = save_tiny_controls(save_tiny_model(tmp_path_factory.mktemp("models") / "tiny", patch=16))
    save_tiny_refiner(folder, LOW_DOSE)
    return folder


@pytest.fixture(scope="module")
def model(home, folder):
    return load_model(folder, device="cpu", precision="float32", runtime="openvino")


SIGNALED = """
import faulthandler, gc, os, signal, sys
import torch
from MedDiffFMLib.models.openvino_runtime import CompiledNetwork

faulthandler.enable()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
first, second = (CompiledNetwork(torch.nn.Conv2d(1, 1, 3, padding=1).eval(), torch.float32) for _ in range(2))
first(torch.zeros(1, 1, 32, 32))
second(torch.zeros(1, 1, 32, 32))
del first
gc.collect()
del second
gc.collect()
filled = [bytes(11824) for _ in range(2000)]  # what was freed is used again
os.kill(os.getpid(), signal.SIGTERM)
assert heard == [signal.SIGTERM] and not [one.problem for one in gc.get_objects() if type(one) is CompiledNetwork]
print("heard")
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no stack for signals")
def test_a_signal_is_heard_after_networks_are_gone(home):
    """OpenVINO's plugin for processors puts signals on a stack of its own, and gives back another one than it took
    where two plugins end in the order in which they began: a cancelled worker would end by a segmentation fault.
    """
    done = subprocess.run([sys.executable, "-c", SIGNALED], capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stdout.strip()) == (0, "heard"), done.stderr[-2000:]


def network_inputs(config, shape=(16, 16, 16), batch=1, t=200, region=0, seed=0):
    torch.manual_seed(seed)
    encoding = config.encoding
    channels = (encoding.position_channels, encoding.anatomy_channels)
    position, anatomy = (torch.rand(batch, count, *shape) for count in channels)
    return [torch.randn(batch, 1, *shape), torch.full((batch,), t), position, anatomy, torch.full((batch,), region)]


def entries(home):
    return sorted((home / FOLDER).glob("[!.]*"))


@torch.inference_mode()
@pytest.mark.parametrize(
    "options", [{}, {"shape": (32, 16, 24), "region": 2, "t": 950, "seed": 1}, {"batch": 3, "region": 1, "t": 0}]
)
def test_the_u_net_computes_what_it_computes_in_pytorch(model, options):
    inputs = network_inputs(model.network.config, **options)
    torch.testing.assert_close(model.evaluator(model.network)(*inputs), model.network(*inputs), atol=1e-5, rtol=1e-4)
    assert model.runtimes == ["openvino"]


@torch.inference_mode()
def test_a_controlnet_adds_what_it_adds_in_pytorch(model):
    control = model.controlnet("super-resolution")
    inputs = network_inputs(model.network.config, (16, 24, 16), region=1, seed=2)
    target = torch.rand_like(inputs[0])
    expected = model.network(*inputs, control(*inputs, target))
    torch.testing.assert_close(model.evaluator(model.network, control)(*inputs, target), expected, atol=1e-5, rtol=1e-4)
    assert (expected - model.network(*inputs)).abs().max() > 1e-3  # or nothing would be proved
    assert len({id(model.evaluator(model.network, control)._evaluate) for _ in range(2)}) == 1


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(8, 40, 33), (3, 17, 64)])
def test_a_refiner_computes_what_it_computes_in_pytorch_on_slices_of_any_size(model, shape):
    refiner = model.refiner("low-dose")
    features = torch.randn(shape[0], 10, *shape[1:]).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model.evaluator(refiner)(features), refiner(features), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_bfloat16_rounds_and_no_more(home, folder):
    model = load_model(folder, device="cpu", precision="bfloat16", runtime="openvino")
    inputs = network_inputs(model.network.config, (32, 32, 32))
    expected = model.network(*inputs)
    error = (model.evaluator(model.network)(*inputs) - expected).abs().mean() / expected.abs().mean()
    assert error < 0.05 and model.problems == ()


@torch.inference_mode()
def test_a_network_is_converted_once_for_a_computer(home, folder):
    def evaluate():
        model = load_model(folder, device="cpu", precision="float32", runtime="openvino")
        return model.evaluator(model.network)(*network_inputs(model.network.config))

    evaluate()
    before = {file: file.stat().st_mtime_ns for entry in entries(home) for file in entry.iterdir()}
    evaluate()
    assert before == {file: file.stat().st_mtime_ns for entry in entries(home) for file in entry.iterdir()}


class Watched(CompiledNetwork):
    """A network that counts its comparisons with PyTorch."""

    comparisons = 0

    def _compare(self, place, inputs):
        self.comparisons += 1
        super()._compare(place, inputs)


@torch.inference_mode()
def test_outputs_are_compared_once_for_a_computer_a_precision_and_a_number_of_threads(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path))
    refiner = load_model(folder, device="cpu", precision="float32", runtime="openvino").refiner("low-dose")

    def comparisons(dtype=torch.float32):
        watched = Watched(refiner, dtype)
        watched(torch.randn(4, 10, 24, 24))
        assert watched.problem is None
        return watched.comparisons

    assert [comparisons(), comparisons(), comparisons(torch.bfloat16), comparisons(torch.bfloat16)] == [2, 0, 2, 0]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert [comparisons(), comparisons()] == [2, 0]
    monkeypatch.setattr("MedDiffFMLib.models.representations.processor", lambda: "another")
    assert [comparisons(), comparisons()] == [2, 0]


@torch.inference_mode()
def test_inputs_of_many_shapes_in_turn_take_the_memory_of_a_few(model):
    refiner = model.refiner("low-dose")
    compiled = CompiledNetwork(refiner, torch.float32)
    for width in (16, 24, 16, 32, 40, 48, 16, 56, 16):
        features = torch.randn(2, 10, 20, width)
        torch.testing.assert_close(compiled(features), refiner(features), atol=1e-5, rtol=1e-4)
    assert compiled.problem is None
    assert len(compiled._compiled) == SHAPES


def resident_mb() -> float:
    """The memory of this process that is no file's, as the kernel counts it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


@torch.inference_mode()
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_what_lies_between_layers_is_freed_after_a_volume(home):
    """Between its layers lie some 150 MB of a slice of 512 × 512; another shape and another network free it, too."""
    model = load_model("meddiff-fm-small", device="cpu", precision="float32", runtime="openvino")
    refiner = model.evaluator(model.refiner("low-dose"))
    refiner(torch.randn(1, 10, 64, 64))
    before = resident_mb()
    refiner(torch.randn(1, 10, 512, 512))
    assert resident_mb() > before + 120
    model.release_memory()
    assert resident_mb() < before + 60
    refiner(torch.randn(1, 10, 512, 512))
    refiner(torch.randn(1, 10, 32, 32))
    assert resident_mb() < before + 60


@torch.inference_mode()
@pytest.mark.parametrize(
    "damage", [lambda weights: weights[: len(weights) // 2], lambda weights: np.roll(weights, 4096)]
)
def test_a_damaged_representation_is_replaced(tmp_path, monkeypatch, folder, damage):
    """Half of its weights missing, or, where nothing else would tell, other weights in their place."""
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path))
    refiner = load_model(folder, device="cpu", precision="float32", runtime="openvino").refiner("low-dose")
    features = torch.randn(4, 10, 24, 24)
    CompiledNetwork(refiner, torch.float32)(features)
    (entry,) = entries(tmp_path)
    damage(np.fromfile(entry / "network.bin", np.uint8)).tofile(entry / "network.bin")
    again = CompiledNetwork(refiner, torch.float32)
    torch.testing.assert_close(again(features), refiner(features), atol=1e-5, rtol=1e-4)
    assert again.problem is None


@torch.inference_mode()
def test_a_network_whose_layers_depend_on_the_input_stays_with_pytorch(home):
    """The first layer of `anatomy_code: masks` visits the organs that a window holds; converted, it would visit those
    of the example for ever.
    """
    torch.manual_seed(3)
    network = Denoiser(dataclasses.replace(TINY, anatomy_code="masks")).eval().requires_grad_(False)
    compiled = CompiledNetwork(network, torch.float32)
    inputs = network_inputs(network.config)
    inputs[3] = torch.randint(0, 118, inputs[3].shape).float()
    assert torch.equal(compiled(*inputs), network(*inputs))
    assert compiled.problem.startswith("OpenVINO cannot evaluate this network here, PyTorch does, more slowly (")


def test_auto_is_openvino_on_a_cpu_where_it_is_installed(monkeypatch):
    monkeypatch.delenv(RUNTIME_VARIABLE)
    assert choose_runtime("auto", CPU) == "openvino"
    assert choose_runtime("auto", torch.device("cuda", 0)) == "torch"
    monkeypatch.setenv(RUNTIME_VARIABLE, "torch")
    assert choose_runtime("auto", CPU) == "torch"
    assert choose_runtime("openvino", CPU) == "openvino"  # an explicit choice counts more
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delenv(RUNTIME_VARIABLE)
    assert choose_runtime("auto", CPU) == "torch"
    with pytest.raises(InputError, match="OpenVINO is not installed: use --runtime torch, or pip install"):
        choose_runtime("openvino", CPU)


@pytest.mark.parametrize(
    ("runtime", "device", "sentence"),
    [
        ("openvino", torch.device("cuda", 0), "OpenVINO computes on the processor, not on cuda:0"),
        ("onnx", CPU, "'onnx'"),
    ],
)
def test_an_impossible_runtime_is_refused(runtime, device, sentence):
    with pytest.raises(InputError, match=sentence):
        choose_runtime(runtime, device)


def test_nothing_reports_that_openvino_is_used(home, folder):
    """Importing OpenVINO sends an event, unless its telemetry package cannot be imported."""
    code = (
        "import sys, torch; from MedDiffFMLib.models.loading import load_model;"
        "from MedDiffFMLib.cli.doctor import _describe;"
        "print(_describe(load_model(sys.argv[1], 'cpu', 'float32', 'openvino'))['runtime'],"
        "[name for name, found in sys.modules.items() if name.startswith('openvino_telemetry') and found])"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "openvino []"


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("denoise", DenoiseParameters(quality="fast", sigma=20, region="chest")),
        ("super-resolve", SuperResolveParameters(quality="fast", factor=2, region="chest")),
    ],
)
def test_a_task_gives_the_same_voxels_and_its_provenance_names_the_runtime(
    home, tmp_path, data, folder, task, parameters
):
    whole = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))
    sitk.WriteImage(whole[40:80, 40:80, 60:76], str(tmp_path / "ct.nii.gz"))
    results = {}
    for runtime in ("torch", "openvino"):
        output = tmp_path / f"{runtime}.nii.gz"
        common = CommonParameters(model=str(folder), device="cpu", precision="float32", runtime=runtime)
        run_job(task, {"input": tmp_path / "ct.nii.gz", "output": output}, parameters, common)
        results[runtime] = sitk.GetArrayFromImage(sitk.ReadImage(str(output))).astype(float)
        assert json.loads(output.with_name(f"{runtime}.json").read_text())["computed"]["runtime"] == runtime
    assert np.abs(results["torch"] - results["openvino"]).max() <= 1  # HU, of rounding to integers


def test_the_provenance_says_where_pytorch_computed_after_all(home, tmp_path, data, folder, monkeypatch):
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path / "home"))
    (tmp_path / "home").write_text("a file where the data folder should be")
    sitk.WriteImage(
        sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[40:80, 40:80, 60:76], str(tmp_path / "ct.nii.gz")
    )
    common = CommonParameters(model=str(folder), device="cpu", precision="float32", runtime="openvino")
    files = {"input": tmp_path / "ct.nii.gz", "output": tmp_path / "out.nii.gz"}
    result = run_job("denoise", files, DenoiseParameters(quality="fast", sigma=20, region="chest"), common)
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["computed"]["runtime"] == "openvino and torch"
    assert any("PyTorch does, more slowly" in sentence for sentence in result.warnings)
    assert list(result.warnings) == record["warnings"]
