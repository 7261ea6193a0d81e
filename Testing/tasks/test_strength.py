"""The strength of denoising: how much of the noise is taken away, and what a mix of result and input keeps."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_model import save_tiny_model

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.errors import UsageError
from MedDiffFMLib.parameters import DenoiseParameters
from MedDiffFMLib.tasks.denoise import denoise, look
from MedDiffFMLib.tasks.strength import interpolated, mix
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume

FAST = {"sigma": 20, "quality": "fast", "region": "abdomen"}


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    """A corner of the real abdomen with body, bone and air: 16 × 64 × 60 voxels of 3 mm, one window high."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[0:60, 20:84, 44:60], "abdomen")


@pytest.fixture(scope="module")
def full(ct, tiny_model) -> Volume:
    return denoise(ct, tiny_model, **FAST, strength="full").volume


def test_a_mix_by_hand():
    before, after = np.array([[[100, 100, -50, 7]]], np.int16), np.array([[[60, 101, -10, 7]]], np.int16)
    assert mix(before, after, 70).tolist() == [[[72, 101, -22, 7]]]  # 100 − 28; 100.7; −50 + 28; unchanged
    assert mix(before, after, 70).dtype == np.int16
    floats = mix(before.astype(np.float32), after.astype(np.float32), 25)
    assert floats.dtype == np.float32 and floats.tolist() == [[[90, 100.25, -40, 7]]]


@pytest.mark.parametrize("percent", [10, 25, 50, 70, 75, 90])
def test_rounding_moves_no_mean(percent):
    """One million changes of −40 … 40 HU: halves are common at 50 %, and always rounding them up would add 0.25 HU."""
    rng = np.random.default_rng(1)
    before = rng.integers(-200, 200, (10, 100, 1000)).astype(np.int16)
    after = (before + rng.integers(-40, 41, before.shape)).astype(np.int16)
    wanted = before + (after.astype(float) - before) * percent / 100
    error = mix(before, after, percent) - wanted
    assert np.abs(error).max() <= 0.5 and abs(error.mean()) < 0.002


def test_the_largest_values_of_a_type_do_not_wrap_around():
    ends = np.iinfo(np.int16)
    before, after = np.full((1, 1, 2), ends.min, np.int16), np.full((1, 1, 2), ends.max, np.int16)
    assert mix(before, after, 50).tolist() == [[[0, 0]]] and mix(before, after, 100).tolist() == after.tolist()
    assert mix(after, before, 25).tolist() == [[[16383, 16383]]]


@pytest.mark.parametrize("strength", [0.7, 1, 1.0, "0.7"])
def test_a_share_is_not_taken_for_a_percentage(strength):
    """0.7 % would leave the noise, and nobody would see why."""
    with pytest.raises(UsageError, match=r"--strength (0\.7|1) may be a share or a percentage: give percent"):
        DenoiseParameters.from_dict({"strength": strength})
    assert DenoiseParameters.from_dict({"strength": 0}).strength_percent == 0


def test_nothing_and_everything_are_the_voxels_themselves(ct, full, tiny_model):
    """Floats too, of which y + (x − y) is not always x."""
    rng = np.random.default_rng(2)
    before, after = rng.normal(0, 1000, (2, 4, 50, 50)).astype(np.float32)
    assert np.array_equal(mix(before, after, 0), before) and np.array_equal(mix(before, after, 100), after)
    nothing = denoise(ct, tiny_model, **FAST, strength=0)
    assert np.array_equal(nothing.volume.voxels, ct.voxels)
    assert nothing.noise_after_hu == nothing.noise_before_hu


def test_a_result_is_the_mix_of_the_full_one_and_the_input(ct, full, tiny_model):
    """So a panel, which has the full one, shows what the command line makes; what was kept is kept to the last bit."""
    result = denoise(ct, tiny_model, **FAST, strength=40)
    assert np.array_equal(result.volume.voxels, mix(ct.voxels, full.voxels, 40))
    kept = full.voxels == ct.voxels
    assert 1000 < kept.sum() < kept.size - 1000 and np.array_equal(result.volume.voxels[kept], ct.voxels[kept])
    assert result.volume.voxels.dtype == np.int16 and result.facts.strength_percent == 40


@pytest.mark.parametrize(
    ("options", "percent"),
    [
        ({}, 70),
        ({"quality": "fast"}, 70),
        ({"quality": "paper"}, 100),
        ({"alone": True}, 100),
        ({"quality": "paper", "strength": "light"}, 50),
        ({"alone": True, "strength": "12.5"}, 12.5),
        ({"strength": "medium"}, 70),
        ({"strength": "full"}, 100),
        ({"strength": 0}, 0),
    ],
)
def test_what_the_strength_is(options, percent):
    """The published method and the model alone give their plain result, unless a strength is asked for."""
    params = DenoiseParameters.from_dict(options)
    assert params.strength_percent == percent
    assert DenoiseParameters.from_dict(json.loads(json.dumps(params.to_dict()))).strength_percent == percent


@pytest.mark.parametrize("strength", [-1, 100.5, "half", "nan", True, "70 %"])
def test_a_strength_that_cannot_be(strength):
    with pytest.raises(
        UsageError, match=r"--strength cannot be .*: use light, medium, full or a number from 0 to 100 %"
    ):
        DenoiseParameters.from_dict({"strength": strength})


def test_the_noise_is_told_at_each_level(ct, tiny_model, monkeypatch):
    """Measured at each, less at a higher one: here the full result has no noise at all."""
    smooth = np.full(ct.voxels.shape, 40.0, np.float32)
    noisy = ct.with_voxels(np.random.default_rng(3).normal(40, 20, ct.voxels.shape).round().astype(np.int16))
    monkeypatch.setattr("MedDiffFMLib.tasks.denoise.RegionDenoiser.estimate", lambda *a, **k: smooth)
    monkeypatch.setattr("MedDiffFMLib.tasks.denoise.RegionDenoiser.merge_with_input", lambda self, estimate: estimate)
    result = denoise(noisy, tiny_model, **FAST, strength=60)
    told = result.facts.noise_by_strength_hu
    assert list(told) == ["0", "50", "60", "70", "100"]
    assert told["0"] == result.noise_before_hu == pytest.approx(20, abs=1)
    for percent in (50, 60, 70):  # the noise that is left is the share that was not taken
        assert told[str(percent)] == pytest.approx((1 - percent / 100) * told["0"], abs=0.6)
    assert told["60"] == result.noise_after_hu and "strength 60 %" in result.summary()


def test_noise_between_levels():
    told = {"0": 30.0, "100": 8.0, "50": 18.0, "70": 13.0}
    assert [interpolated(told, at) for at in (0, 25, 60, 70, 85, 100)] == [30, 24, 15.5, 13, 10.5, 8]
    assert interpolated({**told, "70": None}, 60) is None and interpolated({}, 60) is None


def test_a_look_is_the_same_at_every_strength(ct, tiny_model):
    assert "strength" in DenoiseParameters.without_effect_on_estimate()
    plain, strong = (look(ct, tiny_model, **FAST, strength=one) for one in ("light", "full"))
    assert {k: v for k, v in plain.items() if "sec" not in k} == {k: v for k, v in strong.items() if "sec" not in k}


def test_a_box_keeps_the_rest_and_another_grid_is_mixed_on_the_scans_own(ct, tiny_model):
    model = replace(tiny_model, config={"tasks": {"denoise": {"fast": {"spacing_mm": 2.0}}}})
    full, some = (denoise(ct, model, **FAST, strength=one).volume.voxels for one in ("full", 30))
    assert not np.array_equal(full, ct.voxels) and np.array_equal(some, mix(ct.voxels, full, 30))


def test_the_command_line_and_its_record(ct, tmp_path, capsys):
    """`--strength` is in the provenance, and taken again from it by `--json`."""
    model = save_tiny_model(tmp_path / "model")
    write_volume(ct, tmp_path / "ct.nii.gz")
    words = ["denoise", str(tmp_path / "ct.nii.gz"), str(tmp_path / "out.nii.gz"), "--model", str(model)]
    words += ["--sigma", "20", "--quality", "fast", "--region", "abdomen", "--anatomy", "auto", "-q"]
    words += ["--precision", "float32", "--device", "cpu"]
    assert main([*words, "--strength", "40"]) == 0
    made = read_volume(tmp_path / "out.nii.gz").voxels
    assert np.array_equal(made, mix(ct.voxels, read_full(tmp_path, words), 40))
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["parameters"]["strength"] == 40 and record["facts"]["strength_percent"] == 40
    again = [*words[:2], str(tmp_path / "again.nii.gz"), "--json", str(tmp_path / "out.json"), "-q"]
    assert main([*again, *words[3:5]]) == 0
    assert np.array_equal(read_volume(tmp_path / "again.nii.gz").voxels, made)
    assert main([*words[:2], str(tmp_path / "no.nii.gz"), "--strength", "120"]) == 2
    assert "--strength cannot be 120.0" in capsys.readouterr().err and not (tmp_path / "no.nii.gz").exists()


def read_full(folder, words):
    assert main([*words[:2], str(folder / "full.nii.gz"), *words[3:], "--strength", "full"]) == 0
    return read_volume(folder / "full.nii.gz").voxels
