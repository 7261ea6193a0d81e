"""`meddiff-fm` as a shell sees it: exit codes, sentences, what it leaves on the disk.

What depends on the process (signals, imports, the whole way once) runs as a process of its own, the rest by `main`.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk
from patience import PATIENCE
from tiny_model import TINY, save_tiny_controls, save_tiny_model

from MedDiffFMLib import __version__
from MedDiffFMLib.cli.app import main
from MedDiffFMLib.models.controlnet_folder import save_controlnet
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig

COMMAND = [sys.executable, "-m", "MedDiffFMLib"]


@pytest.fixture
def run(capfd):
    """Run `meddiff-fm` in this process: returns exit code, stdout, stderr."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny-model")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A real chest CT, cropped, at an oblique place in space; its name and path hold what must not come out again."""
    folder = tmp_path_factory.mktemp("MUELLER_HANS")
    image = sitk.ReadImage("Testing/Data/chest_ts_aorta.nii.gz")[20:84, 20:84, 40:88]
    image.SetDirection((0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(folder / "MUELLER_1955.mha"))
    return folder / "MUELLER_1955.mha"


@pytest.fixture(scope="module")
def done(scan, model, tmp_path_factory):
    """One finished run and its output folder."""
    folder = tmp_path_factory.mktemp("out")
    output, parameters = folder / "result.nii.gz", folder / "run.json"
    options = ("--quality", "fast", "--region", "chest", "--seed", "7", "--model", model, "--device", "cpu")
    command = [*COMMAND, "denoise", scan, output, *options, "--json", parameters]
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
    ), output


def test_denoise_writes_the_volume_and_its_provenance_and_nothing_else(done, scan):
    result, output = done
    assert result.returncode == 0, result.stderr
    assert sorted(f.name for f in output.parent.iterdir()) == ["result.json", "result.nii.gz", "run.json"]
    assert re.fullmatch(
        r"Noise \d+\.\d HU → \d+\.\d HU \(σ \d+\.\d HU, strength 70 %, chest\)(, grain 0\.\d+ → 0\.\d+/mm)?"
        r", mean HU change at most [-+]\d+\.\d \(\w+\); wrote .*result.nii.gz\n",
        result.stdout,
    )
    source, denoised = sitk.ReadImage(str(scan)), sitk.ReadImage(str(output))
    assert denoised.GetSize() == source.GetSize()
    for geometry in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(denoised, geometry)(), getattr(source, geometry)(), atol=1e-5)
    assert not np.array_equal(sitk.GetArrayFromImage(denoised), sitk.GetArrayFromImage(source))


def test_provenance_tells_all_that_is_needed_and_nothing_about_the_patient(done, scan, model):
    _, output = done
    text = output.with_name("result.json").read_text(encoding="utf-8")
    record = json.loads(text)
    source = sitk.ReadImage(str(scan))
    assert record["source"]["size"] == list(source.GetSize()) == [64, 64, 48]
    assert record["source"]["spacing"] == list(source.GetSpacing())
    assert record["source"]["origin"] == list(source.GetOrigin())
    assert record["source"]["direction"] == list(source.GetDirection())
    voxels = sitk.GetArrayFromImage(source)
    assert (
        voxels.dtype == np.int16 and record["source"]["voxels_sha256"] == hashlib.sha256(voxels.tobytes()).hexdigest()
    )
    weights = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    assert record["model"] == {"name": "tiny", "source": "folder", "sha256": weights}
    assert record["task"] == "denoise" and record["synthetic"] is False
    assert record["parameters"]["seed"] == 7 and record["parameters"]["quality"] == "fast"
    assert set(record["versions"]) == {"meddiff-fm", "python", "torch", "monai", "numpy", "SimpleITK"}
    assert record["versions"]["meddiff-fm"] == __version__ and record["versions"]["numpy"] == np.__version__
    assert record["facts"]["region"] == "chest" and record["facts"]["noise_before_hu"] > 0
    assert abs(time.time() - time.mktime(time.strptime(record["date"][:19], "%Y-%m-%dT%H:%M:%S"))) < 15 * 3600
    for secret in ("MUELLER", "1955", str(output.parent), str(model.parent)):
        assert secret not in text


def test_a_run_from_the_provenance_gives_the_same_voxels(run, done, scan, model, tmp_path):
    _, output = done
    again = tmp_path / "again.nii.gz"
    provenance = output.with_name("result.json")
    assert run("denoise", scan, again, "--json", provenance, "--model", model, "-q") == (0, "", "")
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(str(f))) for f in (output, again))
    np.testing.assert_array_equal(first, second)


def test_recorded_parameters_hold_what_was_given(done):
    recorded = json.loads(done[1].with_name("run.json").read_text(encoding="utf-8"))
    assert recorded["task"] == "denoise"
    assert recorded["parameters"]["seed"] == 7 and recorded["parameters"]["device"] == "cpu"


def refusals(scan, output, tmp_path):
    other = tmp_path / "free.nii.gz"
    return {
        "exists already": (scan, output),
        "its folder does not exist": (scan, tmp_path / "nowhere" / "x.nii.gz"),
        "not a format that can be written": (scan, tmp_path / "x.jpg"),
        "does not exist": (tmp_path / "none.nii.gz", other),
        "--sigma cannot be 'x'": (scan, other, "--sigma", "x"),
        "no model 'nobody'": (scan, other, "--model", "nobody"),
        "no GPU 'cuda:99'": (scan, other, "--device", "cuda:99"),
        "cannot hold parameters": (scan, other, "--json", tmp_path / "nowhere" / "run.json"),
        "holds no parameters": (scan, other, "--json", "Testing/Data/labels.json"),
        "No such option": (scan, other, "--sigmo", "3"),
        "Missing argument": (scan,),
    }


def test_every_refusal_is_one_sentence_with_code_2_and_leaves_nothing(run, done, scan, tmp_path):
    before = {f: f.read_bytes() for f in done[1].parent.iterdir()}
    for sentence, arguments in refusals(scan, done[1], tmp_path).items():
        code, out, err = run("denoise", *arguments)
        assert code == 2 and out == "" and sentence in err and err.count("\n") == 1, (sentence, code, out, err)
    assert list(tmp_path.iterdir()) == []
    assert before == {f: f.read_bytes() for f in done[1].parent.iterdir()}


def test_provenance_that_exists_is_not_overwritten_either(run, scan, tmp_path):
    (tmp_path / "x.json").write_text("mine")
    code, _, err = run("denoise", scan, tmp_path / "x.nii.gz")
    assert code == 2 and "x.json exists" in err
    assert [f.read_text(encoding="utf-8") for f in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_within_a_window_and_leaves_no_file(scan, model, tmp_path, number):
    options = ("--quality", "paper", "--sigma", "60", "--region", "abdomen", "--model", model, "--device", "cpu")
    command = [*COMMAND, "denoise", scan, tmp_path / "x.nii.gz", *options, "--json", tmp_path / "run.json"]
    # FORCE_COLOR makes rich draw its bar into the pipe, so that the test sees the run begin
    process = subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"FORCE_COLOR": "1"}
    )
    seen = b""
    while b"window" not in seen:
        block = os.read(process.stderr.fileno(), 4096)
        assert block, seen
        seen += block
    process.send_signal(number)
    asked = time.monotonic()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3 and out == b""
    assert b"Cancelled; no file was written." in err and b"Traceback" not in err
    assert time.monotonic() - asked < 60  # a whole run takes minutes
    assert list(tmp_path.iterdir()) == []


LIGHT = """
import sys
sys.argv = ["meddiff-fm", *{arguments}]
from MedDiffFMLib.cli.app import main
code = main()
heavy = {{"torch", "monai", "SimpleITK", "numpy", "scipy", "huggingface_hub"}} & set(sys.modules)
print(code, sorted(heavy))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["denoise", "--help"], ["--version"], ["denoise", "a"]])
def test_help_answers_without_the_heavy_packages(arguments):
    result = subprocess.run(
        [sys.executable, "-c", LIGHT.format(arguments=arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert result.stdout.splitlines()[-1] == ("2 []" if arguments[-1] == "a" else "0 []"), result


def test_importing_the_library_and_its_parameters_needs_only_the_standard_library():
    code = "import sys; sys.path.insert(0, '.'); import MedDiffFMLib, MedDiffFMLib.parameters, MedDiffFMLib.progress"
    result = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
    )
    assert result.returncode == 0, result.stderr


def test_doctor_finds_the_model_and_runs_it(run, model):
    code, out, _ = run("doctor", "--json", "--model", model)
    record = json.loads(out)
    assert code == 0 and record["problem"] is None
    assert record["model"] == "tiny (folder, verified)" and record["speed"].startswith("a window of 32³")
    assert record["memory_gb"] > 0 and record["disk_free_gb"] > 0


def test_doctor_without_a_model_says_so_and_fails(run, tmp_path):
    code, out, _ = run("doctor", "--model", tmp_path)
    assert code == 2 and "config.json is missing" in out


def test_models_commands(run, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    folder = save_tiny_model(tmp_path / "models" / "own-model", name="own-model")
    _, listed, _ = run("models", "list")
    assert re.search(r"own-model +user +0\.6 MB", listed), listed
    shown = json.loads(run("models", "show", "own-model")[1])
    assert shown["architecture"]["channels"] == [8, 8, 16] and "alpha_bar" not in shown["schedule"]
    assert run("models", "verify", "own-model")[0] == 0
    with open(folder / "model.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    code, _, err = run("models", "verify", "own-model")
    assert code == 2 and "checksum" in err
    (folder / "config.json").write_text("{")
    code, listed, _ = run("models", "list")
    assert code == 0 and "own-model (damaged)" in listed and "meddiff-fm-small" in listed


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "list"],
        ["models", "show"],
        ["models", "show", "own-model"],
        ["models", "verify"],
        ["models", "verify", "own-model"],
        ["models", "remove", "own-model", "--yes"],
        ["models", "remove", "nobodys", "--yes"],
        ["models", "download", "no id"],
    ],
    ids=" ".join,
)
def test_models_are_told_without_the_heavy_packages(arguments, tmp_path):
    """Reading a JSON needs no PyTorch, whose import takes ten seconds on a busy computer."""
    folder = save_tiny_model(tmp_path / "models" / "own-model", name="own-model")
    save_tiny_controls(folder)
    code = (
        "import sys; from MedDiffFMLib.cli.app import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'monai', 'scipy', 'SimpleITK', 'einops', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    environment = os.environ | {"MEDDIFF_FM_HOME": str(tmp_path), "COLUMNS": "300"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, encoding="utf-8", env=environment
    )
    assert "loaded" not in done.stderr, done.stderr
    assert done.returncode == (2 if {"nobodys", "no id"} & set(arguments) else 0), done.stderr


def test_a_run_from_the_provenance_of_another_scan_says_so(run, done, scan, model, tmp_path, caplog):
    provenance, other = done[1].with_name("result.json"), tmp_path / "other.mha"
    sitk.WriteImage(sitk.ReadImage(str(scan)) + 1, str(other))
    assert run("denoise", other, tmp_path / "x.mha", "--json", provenance, "--model", model)[0] == 0
    assert [m.split(" (")[0] for m in caplog.messages] == [f"{other} is not what {provenance} was made from"]
    caplog.clear()
    assert run("denoise", scan, tmp_path / "y.mha", "--json", provenance, "--model", model)[0] == 0
    assert caplog.messages == []


def test_show_and_verify_tell_of_the_controlnets(run, tmp_path):
    folder = save_tiny_model(tmp_path / "own")
    save_controlnet(folder, "lesion-liver", ControlNet(TINY, ControlNetConfig("lesion-mask", encoder_channels=(8,))))
    shown = json.loads(run("models", "show", folder)[1])["controlnets"]
    assert list(shown) == ["lesion-liver"] and shown["lesion-liver"]["kind"] == "lesion-mask"
    code, out, _ = run("models", "verify", folder)
    assert code == 0 and "ControlNet lesion-liver: belongs to them" in out
    weights = folder / "controlnets" / "lesion-liver" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    code, _, err = run("models", "verify", folder)
    assert code == 2 and "lesion-liver" in err and "checksum" in err


def test_remove_takes_the_users_own_models_alone(run, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path / "home"))
    folder = save_tiny_model(tmp_path / "home" / "models" / "own")
    hub = tmp_path / "home" / "hub" / "models--someone--ct"
    (hub / "snapshots" / "1").mkdir(parents=True)
    elsewhere = save_tiny_model(tmp_path / "elsewhere")
    refusals = {
        ("own",): "--yes",
        ("meddiff-fm-small", "--yes"): "came with the program",
        ("nobody", "--yes"): "it has own, someone/ct",
        (elsewhere, "--yes"): "There is no model",
        ("..", "--yes"): "There is no model",
        ("../models/own", "--yes"): "There is no model",
    }
    for arguments, message in refusals.items():
        code, out, err = run("models", "remove", *arguments)
        assert code == 2 and out == "" and message in err and "-v" not in err, (arguments, err)
    assert folder.is_dir() and hub.is_dir() and elsewhere.is_dir()
    assert run("models", "remove", "own", "--yes") == (0, f"Removed {folder}\n", "")
    assert run("models", "remove", "someone/ct", "--yes")[0] == 0
    assert list(folder.parent.iterdir()) == list(hub.parent.iterdir()) == [] and elsewhere.is_dir()


def test_doctor_prints_no_fact_that_it_does_not_know(run, model):
    code, out, _ = run("doctor", "--model", model)
    assert code == 0 and "None" not in out and "ready" in out


def test_the_hint_at_v_stands_only_where_there_is_v(run, monkeypatch):
    for target in ("MedDiffFMLib.models.store.installed", "MedDiffFMLib.jobs.outputs.check_result_path"):
        monkeypatch.setattr(target, lambda *a: 1 / 0)
    monkeypatch.setattr("MedDiffFMLib.jobs.job.check_result_path", lambda *a: 1 / 0)
    code, _, err = run("models", "list")
    assert code == 1 and err == "meddiff-fm: ZeroDivisionError: division by zero\n"
    code, _, err = run("denoise", "a", "b")
    assert code == 1 and "run again with -v" in err


def test_a_given_anatomy_is_used_and_its_name_not_told(run, scan, model, tmp_path):
    labels = tmp_path / "MUELLER_organs.mha"
    image = sitk.ReadImage(str(scan))
    sitk.WriteImage(sitk.Cast(image > 0, sitk.sitkUInt8) * 51, str(labels))
    options = ("--quality", "fast", "--region", "chest", "--model", model, "-q", "--anatomy", labels)
    assert run("denoise", scan, tmp_path / "x.mha", *options) == (0, "", "")
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text)["facts"]["anatomy"] == "given" and "MUELLER" not in text
    code, _, err = run("denoise", scan, tmp_path / "y.mha", "--json", tmp_path / "x.json", "--model", model)
    assert code == 2 and "--anatomy" in err
