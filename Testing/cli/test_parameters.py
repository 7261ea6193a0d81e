"""Parameters: what may be given, what is refused, and that the command line offers exactly these."""

import dataclasses
import json

import pytest
from typer.main import get_command

from MedDiffFMLib.anatomy.regions import REGIONS
from MedDiffFMLib.cli.app import build_app, main
from MedDiffFMLib.cli.options import merge, record
from MedDiffFMLib.errors import InputError, UsageError
from MedDiffFMLib.models.store import BUNDLED
from MedDiffFMLib.parameters import (
    ANATOMY_FILE,
    REGION_NAMES,
    TASKS,
    CommonParameters,
    DenoiseParameters,
    describe_task,
    split_values,
)
from MedDiffFMLib.parameters.common import read_box
from MedDiffFMLib.worker.protocol import check_request


def test_defaults_are_those_of_the_contract():
    values = {"sigma": "auto", "quality": "balanced", "region": "auto", "anatomy": "auto", "steps": None}
    assert DenoiseParameters().validate().to_dict() == values | {
        "strength": None,
        "alone": False,
        "overlap": None,
        "seed": 0,
    }
    common = {"model": None, "device": "auto", "precision": "auto", "runtime": "auto", "roi": None, "overwrite": False}
    assert CommonParameters().validate().to_dict() == common


def test_text_becomes_numbers_and_json_gives_the_same_back():
    parameters = DenoiseParameters.from_dict({"sigma": "25.5", "steps": "7", "seed": "3", "region": "chest"})
    assert (parameters.sigma, parameters.steps, parameters.seed) == (25.5, 7, 3)
    assert DenoiseParameters.from_dict(json.loads(json.dumps(parameters.to_dict()))) == parameters


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("sigma", "0", "use auto or a number from 1 to 300 HU"),
        ("sigma", "nan", "use auto or a number"),
        ("sigma", "much", "use auto or a number"),
        ("sigma", True, "use auto or a number"),
        ("quality", "best", "use fast, balanced or paper"),
        ("region", "leg", "use auto, head-neck, chest or abdomen"),
        ("anatomy", "", "use auto, none, threshold, totalsegmentator or the path of a label map"),
        ("steps", "2.5", "use a whole number from 1 to 1000"),
        ("steps", "0", "use a whole number from 1 to 1000"),
        ("seed", "-1", "use a whole number from 0"),
        ("overlap", "0.76", "use a number from 0 to 0.75"),
        ("overlap", "-0.1", "use a number from 0 to 0.75"),
        ("overlap", "nan", "use a number from 0 to 0.75"),
        ("sead", "1", "the parameters are sigma, quality, strength, alone, region, anatomy, steps, overlap, seed"),
    ],
)
def test_what_cannot_be_is_refused_with_advice(name, value, advice):
    with pytest.raises(InputError) as refusal:
        DenoiseParameters.from_dict({name: value})
    assert advice in str(refusal.value)
    assert ("sead" if name == "sead" else str(value)) in str(refusal.value)


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_devices(device):
    assert CommonParameters.from_dict({"device": device}).device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:1 "])
def test_devices_that_are_none(device):
    with pytest.raises(InputError, match="use auto, cpu, cuda, mps or cuda:NUMBER"):
        CommonParameters.from_dict({"device": device})


def test_regions_are_the_models():
    assert set(REGION_NAMES) == set(REGIONS)


def claims_of_quality():
    """By task: what the help says of each quality, and of the settings (the code's and the bundled model's) whether it
    is so.
    """
    from MedDiffFMLib.tasks import denoise_region as denoise_run
    from MedDiffFMLib.tasks import super_resolve_region, synthesize

    def estimates(one):  # sampler's steps, and what is averaged in each
        return (one.steps or 1000) * one.mirrored

    def more(of):  # steps of a walk, and where a ControlNet needs one evaluation, what it and its refiner average
        fast, balanced = of["fast"], of["balanced"]
        return balanced.steps > fast.steps and balanced.mirrored > fast.mirrored

    return {
        "denoise": (
            denoise_run.QUALITIES,
            {
                "fast: one estimate": lambda of: estimates(of["fast"]) == 1,
                "balanced: more work": lambda of: estimates(of["balanced"]) > estimates(of["fast"]),
                "paper: the published method's settings": lambda of: of["paper"] == denoise_run.PAPER,
            },
        ),
        "super-resolve": (
            super_resolve_region.QUALITIES,
            {
                "fast: the least work": lambda of: of["fast"].steps <= min(one.steps for one in of.values()),
                "a single evaluation where the model has a ControlNet for it": lambda of: of["fast"].mirrored == 1,
                "balanced: more": more,
                "paper: the published method": lambda of: of["paper"] == super_resolve_region.SuperResolveSettings(),
            },
        ),
        "synthesize": (
            synthesize.QUALITIES,
            {
                "fast: the whole image at once": lambda of: tuple(of["fast"].levels) == ("image",),
                "balanced: up to 2 mm": lambda of: of["balanced"].levels[-1] == "double",
                "paper: at 1 mm, as published": lambda of: of["paper"] == synthesize.SynthesizeSettings(),
            },
        ),
    }


@pytest.mark.parametrize("task", ["denoise", "super-resolve", "synthesize"])
def test_the_help_of_a_quality_is_true_of_the_code_and_of_the_bundled_model(task):
    qualities, claims = claims_of_quality()[task]
    bundled = json.loads((BUNDLED / "meddiff-fm-small" / "config.json").read_text(encoding="utf-8"))["tasks"][task]
    own = {name: dataclasses.replace(one, **bundled.get(name, {})) for name, one in qualities.items()}
    help = next(f.metadata["help"] for f in dataclasses.fields(TASKS[task]) if f.name == "quality")
    for words, holds in claims.items():
        assert words in help, f"{words!r} is not in the help any more: {help}"
        assert holds(qualities), f"{words!r} is not true of the code"
        assert holds(own), f"{words!r} is not true of the bundled model"
    said = [part.split(":")[0] for part in help.split("; ")]
    assert said == list(qualities)
    assert not any(word in help for word in ("a few steps", "once more"))


@pytest.mark.parametrize("task", TASKS)
def test_the_commands_options_are_the_parameters(task):
    command = get_command(build_app()).commands[task]
    options = {p.name: p for p in command.params if p.param_type_name == "option"}
    fields = {f.name: f for group in (TASKS[task], CommonParameters) for f in dataclasses.fields(group)}
    files = {slot.name for slot in TASKS[task].files if slot.optional}
    assert set(options) - {"json", "quiet", "verbose"} - files == set(fields)
    for name, field in fields.items():
        option, limits = options[name], field.metadata
        assert option.opts == [f"--{name.replace('_', '-')}"] and option.help.startswith(limits["help"])
        if field.default is not None and limits["kind"] != "flag":
            assert f"Default: {field.default}." in option.help
        if limits["kind"] == "choice":
            assert option.metavar == "|".join(limits["choices"])


def test_command_line_goes_before_file_before_default(tmp_path):
    file = tmp_path / "run.json"
    record("denoise", DenoiseParameters(sigma=20.0, seed=5), CommonParameters(device="cpu", overwrite=True), file)
    parameters, common = merge("denoise", {"seed": "6", "quality": None, "overwrite": False}, file)
    assert parameters == DenoiseParameters(sigma=20.0, seed=6)
    assert common == CommonParameters(device="cpu")  # overwriting is never recorded
    assert [f.name for f in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no parameters"),
        ('{"task": "synthesize", "parameters": {}}', "parameters of synthesize, not of denoise"),
        ('{"parameters": {"sigma": -1}}', "--sigma cannot be -1"),
        ('{"parameters": {"x": 1}}', "no parameter 'x'"),
        (json.dumps({"parameters": {"anatomy": ANATOMY_FILE}}), "give that file with --anatomy"),
    ],
)
def test_files_that_cannot_be_run_from(tmp_path, content, message):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=message):
        merge("denoise", {}, tmp_path / "run.json")


def test_a_box_is_read_in_pairs():
    assert read_box(" -10, 20.5,.5,1,-3.,+4") == ((-10.0, 0.5, -3.0), (20.5, 1.0, 4.0))


@pytest.mark.parametrize(
    "roi", ["1,2,3,4,5", "a,2,3,4,5,6", "1 2 3 4 5 6", "1,2,3,4,5,inf", "2,1,3,4,5,6", "1,1,3,4,5,6"]
)
def test_boxes_that_are_none(roi):
    with pytest.raises(InputError, match="x0,x1,y0,y1,z0,z1"):
        CommonParameters.from_dict({"roi": roi})


def test_a_box_below_zero_passes_the_shell(capsys):
    """It begins with a dash, as an option does."""
    assert main(["denoise", "none.mha", "out.mha", "--roi", "-9,-1,-9,-1,-9,-1"]) == 2
    assert "none.mha does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("task", TASKS)
def test_command_line_batch_worker_and_dataclass_agree(task):
    """Names, choices and defaults, and the files, of every way to give them."""
    fields = {f.name: f for group in (TASKS[task], CommonParameters) for f in dataclasses.fields(group)}
    app = get_command(build_app())
    shell, batch = app.commands[task], app.commands["batch"].commands[task]
    described = {p["name"]: p for p in describe_task(TASKS[task])["parameters"]}
    for command in (shell, batch):
        options = {p.name: p for p in command.params}
        for name, field in fields.items():
            assert options[name].opts == [f"--{name.replace('_', '-')}"]
            assert bool(options[name].is_flag) == (field.metadata["kind"] == "flag")
    assert list(described) == list(fields)
    for name, field in fields.items():
        assert described[name]["default"] == field.default and described[name].get("choices") == field.metadata.get(
            "choices"
        )
    defaults = {name: field.default for name, field in fields.items()}
    ours, common = split_values(TASKS[task], json.loads(json.dumps(defaults)))
    assert ours == TASKS[task]() and common == CommonParameters()
    assert (ours, common) == merge(task, dict.fromkeys(fields), None)
    slots = {slot.name: slot for slot in TASKS[task].files}
    for name, slot in slots.items():
        assert (name in {p.name for p in shell.params}) and ({p.name: p.required for p in shell.params}[name]) == (
            not slot.optional
        )
    files = {slot.name: "x" for slot in slots.values() if not slot.optional}
    request = {"task": task, "files": files, "parameters": defaults}
    assert check_request(request) == (ours, common)
    for name in slots.keys() & files.keys():
        with pytest.raises(UsageError, match=f"file '{name}'"):
            check_request(request | {"files": {key: value for key, value in files.items() if key != name}})
