"""A scan that is unlike the training data is told in a sentence, in the result, the estimate and on the command line;
a scan like it is not.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_model import save_tiny_model, save_tiny_refiner

from MedDiffFMLib.cli.app import main
from MedDiffFMLib.jobs.job import open_job
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.parameters import DenoiseParameters, split_values
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.refinement import low_dose, noise_inputs
from MedDiffFMLib.tasks.denoise import denoise
from MedDiffFMLib.tasks.scan import analyze_scan
from MedDiffFMLib.tasks.unlike_training import training_warnings
from MedDiffFMLib.volumes.io import read_volume, write_volume
from MedDiffFMLib.volumes.volume import Volume

SPACING = (1.0, 1.0, 2.0)


def phantom(noise: np.ndarray | float = 25.0, spacing=SPACING, air=-1000.0, soft=40.0) -> Volume:
    """A body of soft tissue in air."""
    z, y, x = np.ogrid[:10, :64, :64]
    hu = np.where((y - 32) ** 2 + (x - 32) ** 2 < 26**2, soft, air) + 0.0 * z
    rng = np.random.default_rng(0)
    hu = hu + (noise if isinstance(noise, np.ndarray) else rng.normal(0, noise, hu.shape))
    return Volume(np.maximum(hu, -1400).astype(np.float32), spacing=spacing, source="/data/scan.nii.gz")


def warnings(volume: Volume, trained=low_dose.TRAINED, region="abdomen", sigma_hu=25.0, noise_hu=25.0):
    scan = analyze_scan(replace(volume, in_hu=True), region, Reporter(None))
    return training_warnings(scan, [region], sigma_hu, noise_hu, trained)


def coarse(sigma_hu: float) -> np.ndarray:
    """Noise of blobs of 6 pixels: neighbors hardly differ."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(1).normal(size=(10, 64, 64)), (0, 3, 3))
    return noise * (sigma_hu / noise.std())


def test_a_scan_as_in_training_is_not_doubted():
    for trained in (low_dose.TRAINED, noise_inputs.TRAINED):
        assert warnings(phantom(), trained) == ()
    for sigma_hu, region in ((10.0, "abdomen"), (75.0, "head-neck"), (20.0, "chest"), (150.0, "chest")):
        assert warnings(phantom(), sigma_hu=sigma_hu, region=region) == ()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"sigma_hu": 9.0}, "a noise of 9 HU (in training 19 to 40 HU)"),
        ({"sigma_hu": 18.0, "region": "chest"}, "a noise of 18 HU (in training 38 to 80 HU)"),
        ({"sigma_hu": 90.0}, "a noise of 90 HU (in training 19 to 40 HU)"),
        ({"volume": phantom(spacing=(0.6, 0.6, 2.0))}, "pixels of 0.6 mm (in training 0.78 to 3 mm)"),
        ({"volume": phantom(spacing=(1.0, 1.0, 8.0))}, "a slice distance of 8 mm (in training 1 to 5 mm)"),
        ({"volume": phantom(coarse(25.0))}, "noise with a grain of 0."),
    ],
)
def test_what_is_unlike_is_named_in_one_sentence(what, words):
    told = warnings(**{"volume": phantom()} | what)
    assert len(told) == 1 and words in told[0], told
    assert told[0].startswith("scan.nii.gz is unlike anything that the model was trained on, with ")
    assert told[0].endswith(": its result may be worse than usual, compare it with the scan.")
    assert told[0].count("(in training") == 1


def test_several_traits_make_one_sentence():
    told = warnings(phantom(spacing=(0.25, 0.25, 8.0)), sigma_hu=200.0)
    assert len(told) == 1 and told[0].count("(in training") == 3


def test_a_restorer_takes_more(monkeypatch):
    assert warnings(phantom(), noise_inputs.TRAINED, sigma_hu=9.0) == ()
    assert "a noise of 1.5 HU (in training 4 to 100 HU)" in warnings(phantom(), noise_inputs.TRAINED, sigma_hu=1.5)[0]


def test_a_noise_that_was_not_measured_has_no_grain():
    assert warnings(phantom(coarse(25.0)), noise_hu=None) == ()


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (phantom(air=-500.0), "The air around the patient is at -500 HU in scan.nii.gz"),
        (phantom(air=-1250.0), "The air around the patient is at -1250 HU"),
        (phantom(soft=190.0), "Soft tissue is at 190 HU"),
    ],
)
def test_values_that_are_hardly_hu(volume, words):
    told = warnings(volume)
    assert len(told) == 1 and told[0].startswith(words) and "make sure that the values are HU" in told[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    save_tiny_refiner(folder, low_dose.LOW_DOSE)
    config = json.loads((folder / "config.json").read_text())
    settings = {"tasks": {"denoise": {"fast": {"nlm_share": 0.5}}}}
    (folder / "config.json").write_text(json.dumps(config | settings))
    return folder


def test_the_result_and_the_estimate_tell_it(folder, tiny_model, tmp_path):
    model, how = load_model(folder, "cpu", precision="float32"), {"quality": "fast", "region": "abdomen"}
    usual, strange = phantom(), phantom(spacing=(1.0, 1.0, 8.0))
    assert denoise(usual, model, **how).warnings == ()
    (told,) = denoise(strange, model, **how).warnings
    assert "a slice distance of 8 mm" in told
    write_volume(strange, tmp_path / "scan.nii.gz")
    params, common = split_values(DenoiseParameters, how)
    job = open_job("denoise", {"input": tmp_path / "scan.nii.gz"}, params, common)
    assert job.look(load=lambda *args, **more: model)["warnings"] == [told]
    assert denoise(strange, tiny_model, **how).warnings == ()  # without a refiner nothing is known


def test_the_command_line_prints_it_and_the_provenance_keeps_it_without_names(folder, tmp_path, caplog):
    write_volume(phantom(spacing=(1.0, 1.0, 8.0)), tmp_path / "Doe.nii.gz")
    words = ["denoise", str(tmp_path / "Doe.nii.gz"), str(tmp_path / "out.nii.gz"), "--model", str(folder)]
    words += ["--quality", "fast", "--region", "abdomen", "--precision", "float32", "--device", "cpu"]
    assert main(words) == 0
    assert "Warning: Doe.nii.gz is unlike anything that the model was trained on, with a slice" in caplog.text
    (told,) = json.loads((tmp_path / "out.json").read_text())["warnings"]
    assert "a slice distance of 8 mm" in told and "Doe" not in told


def test_the_ranges_are_those_of_the_training():
    """As the pairs of the refiner are drawn, and the patches of the restorer."""
    pytest.importorskip("MedDiffFMTraining")
    from MedDiffFMTraining.data.noisy_patches import PatchConfig
    from MedDiffFMTraining.data.pairs import LOW_DOSE_HU

    assert low_dose.TRAINED.sigma_hu == LOW_DOSE_HU
    assert noise_inputs.TRAINED.sigma_hu == dict.fromkeys(LOW_DOSE_HU, PatchConfig().sigma_hu)


def test_the_repositorys_scans_and_a_crop_of_lung_are_not_doubted(data):
    """Whole, and where the border of the crop is lung and body, and what is no body is air in the lungs."""
    whole = read_volume(data / "chest_ts_aorta.nii.gz")
    crop = replace(whole, voxels=np.ascontiguousarray(whole.voxels[50:62, 20:60, 20:60]))
    noisy = np.ascontiguousarray(whole.voxels[60:72, 20:132, 20:132])
    noisy = noisy + np.random.default_rng(0).normal(0, 60, noisy.shape).astype(np.float32)
    lungs = replace(whole, voxels=np.maximum(noisy, -1024))
    for volume, region in (
        (whole, "chest"),
        (crop, "chest"),
        (lungs, "chest"),
        (read_volume(data / "abd_ts_example.nii.gz"), "abdomen"),
    ):
        assert warnings(volume, region=region) == ()
