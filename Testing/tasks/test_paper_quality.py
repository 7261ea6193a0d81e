"""Quality `paper`: what the published method computes, without this project's additions."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from exact_model import ExactNetwork, Prior, exact_model
from tiny_model import TINY

from MedDiffFMLib.anatomy.lesion_masks import place_lesion
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.config import conditions
from MedDiffFMLib.models.folder import model_config, save_model_folder
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.unet import Denoiser
from MedDiffFMLib.parameters import DenoiseParameters, SuperResolveParameters
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.tasks import denoise, super_resolve
from MedDiffFMLib.tasks.detect_anomalies import detect_anomalies
from MedDiffFMLib.tasks.generate_lesion import generate_lesion
from MedDiffFMLib.tasks.inpaint_lesion import inpaint_lesion
from MedDiffFMLib.volumes.intensity import keep_beyond
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

LIVER = 5
ABDOMEN = (-120.0, 240.0)


@pytest.fixture(scope="module")
def corner(data) -> Volume:
    """A corner of the real abdomen with body, bone and air, said to be of 1 mm: 12 × 24 × 30 voxels in RAS order."""
    image = sitk.DICOMOrient(read_volume(data / "abd_ts_example.nii.gz").to_sitk()[0:30, 40:64, 44:56], "RAS")
    image.SetSpacing((1.0, 1.0, 1.0))
    return Volume.from_sitk(image, "corner")


def test_only_what_the_window_hides_is_kept():
    """Beyond the same end of [0, 100] both: the CT's. Everything else: the estimate, clipped."""
    hu = np.array([-50.0, -50, 150, 150, 150, 30])
    estimate = np.array([0.0, 20, 100, 80, 0, 130])
    assert keep_beyond(hu, estimate, (0.0, 100.0)).tolist() == [-50, 20, 150, 80, 0, 100]


def test_denoising_is_the_estimate_itself(corner, tiny_model):
    """Within [-160, 240] HU it is DiffPIR's result, also more than 4 σ from the scan, and outside the body."""
    parameters = {"sigma": 5.0, "quality": "paper", "steps": 2, "region": "abdomen"}
    made = denoise.denoise(corner, tiny_model, **parameters).volume.voxels.astype(float)
    plan = denoise.plan(corner, DenoiseParameters.from_dict(parameters), tiny_model, "auto", Reporter(None))
    (region,) = plan.regions
    plan.reporter.begin(2, 1)
    raw = np.clip(region.estimate(0, plan.reporter, 0), -160, 240)
    np.testing.assert_allclose(np.clip(made, -160, 240), raw, atol=0.5001)
    assert (np.abs(made - corner.voxels) > 4 * 5 + 1).any()
    assert (made != corner.voxels)[~plan.scan.body].any()
    hidden = ((corner.voxels > 240) & (raw >= 240)) | ((corner.voxels < -160) & (raw <= -160))
    assert hidden.sum() > 50 and np.array_equal(made[hidden], corner.voxels[hidden])


def test_thin_slices_are_the_estimate_itself(corner, tiny_model_with_controls):
    """Within the window they are the sampler's, and the means of the new slices are not forced to the old ones."""
    thick = dataclasses.replace(corner, spacing=(1.0, 1.0, 5.0))
    parameters = {"quality": "paper", "steps": 2, "factor": 2, "region": "abdomen"}
    model = tiny_model_with_controls
    result = super_resolve.super_resolve(thick, model, **parameters)
    wanted = SuperResolveParameters.from_dict(parameters)
    plan = super_resolve.plan(thick, wanted, model, "auto", Reporter(None))
    ((span, part),) = plan.regions
    plan.splitter.reporter.begin(2, 1)
    raw = plan.splitter._estimate(part, plan.splitter._eps(part, plan.labels[span.z]), None)
    np.testing.assert_allclose(np.clip(result.volume.voxels, *ABDOMEN), raw, atol=0.5001)
    assert result.facts.block_mean_error_hu > 1


def test_thin_slices_are_computed_at_1_mm_in_plane(corner, tiny_model_with_controls):
    """Pixels of 0.5 mm: 12 × 12 × 15 voxels at 1 mm; the result has the scan's pixels and faces."""
    thick = dataclasses.replace(corner, spacing=(0.5, 0.5, 4.0))
    parameters = {"quality": "paper", "steps": 1, "factor": 2, "region": "abdomen"}
    wanted = SuperResolveParameters.from_dict(parameters)
    plan = super_resolve.plan(thick, wanted, tiny_model_with_controls, "auto", Reporter(None))
    assert plan.scan.frame.spacing == (4.0, 1.0, 1.0) and plan.scan.frame.hu.shape == (12, 12, 15)
    thin = plan.run().volume
    assert thin.voxels.shape == (24, 24, 30) and thin.spacing == (0.5, 0.5, 2.0)
    assert thin.origin == pytest.approx((*thick.origin[:2], thick.origin[2] - 1.0))  # half of 4 mm less half of 2 mm
    fast = super_resolve.super_resolve(thick, tiny_model_with_controls, **(parameters | {"quality": "fast"})).volume
    assert thin.same_grid(fast) and thin.voxels.dtype == thick.voxels.dtype


def test_detection_is_of_the_organ_alone_at_t_950(data):
    """Whatever the model's own settings are. The map is each voxel less what the network knows, without smoothing."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()[18:48, 28:58, 96:112]
    organs = read_volume(data / "abd_ts_example_seg.nii.gz").to_sitk()[18:48, 28:58, 96:112]
    for one in (image, organs):
        one.SetSpacing((1.0, 1.0, 1.0))
    ct, labels = Volume.from_sitk(image, "ct"), Volume.from_sitk(organs, "organs")
    own = {"noise_level": 150, "organ_alone": False, "organ_painted": True, "spacing_mm": None, "draws": 3}
    model = exact_model(Prior({LIVER: 50.0}, ABDOMEN, deviation_hu=1.0), config={"tasks": {"detect-anomalies": own}})
    options = {"organ": "liver", "region": "abdomen"}
    result = detect_anomalies(ct, model, labels, quality="paper", **options)
    liver = labels.voxels == LIVER
    assert liver.sum() > 500
    np.testing.assert_allclose(result.map.voxels[liver], np.clip(ct.voxels[liver], *ABDOMEN) - 50.0, atol=1)
    facts = result.facts
    assert (facts.timestep, facts.draws, facts.surroundings) == (950, 1, "air")
    assert (facts.noised, facts.grid) == ("scan", "1.0 mm")
    assert detect_anomalies(ct, model, labels, **options).facts.timestep == 150
    smooth = detect_anomalies(ct, model, labels, quality="paper", smoothing=3, **options)
    assert smooth.map.voxels[liver].std() < 0.7 * result.map.voxels[liver].std()


class Listening(ExactNetwork):
    """It also keeps whether a ControlNet spoke to it."""

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        self.heard = [*getattr(self, "heard", []), residuals is not None]
        return super().forward(x_t, t, position, anatomy, region)


def test_a_lesion_is_drawn_by_the_controlnet_throughout(data, tiny_model_with_controls):
    """Every evaluation hears the ControlNet, which sees the mask, in RAS order, every time; nothing is drawn after."""
    image = read_volume(data / "abd_ts_example_seg.nii.gz").to_sitk()
    anatomy = Volume.from_sitk(image[20:100:4, 14:86:4, 64:112:4], "organs.nii.gz")
    mask = place_lesion(anatomy, (LIVER,), 36.0, seed=1)
    network = Listening(Prior({LIVER: 60.0}, ABDOMEN), patch=48)
    model = dataclasses.replace(tiny_model_with_controls, network=network)
    seen, control = [], model.controlnet("lesion-lung", kinds=("lesion-mask",))
    hook = control.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[-1][0, 0].numpy() > 0))
    try:
        options = {"quality": "paper", "region": "abdomen", "synthesis_steps": 3, "kind": "lung"}
        result = generate_lesion(anatomy, mask, model, **options)
    finally:
        hook.remove()
    expected = sitk.GetArrayFromImage(sitk.DICOMOrient(mask.to_sitk(), "RAS")) > 0
    assert network.heard == [True] * 3 and result.facts.network_evaluations == network.calls == 3
    for target in seen:
        z, y, x = expected.shape
        assert np.array_equal(target[:z, :y, :x], expected) and expected.any()
    lesion = result.facts.lesion
    assert (lesion.drawn, lesion.kind, lesion.region) == ("throughout", "lung", "abdomen")
    assert f"a lung lesion of {lesion.lesion_ml:g} ml" in result.summary()
    with pytest.raises(InputError, match="leave out --steps and --resample"):
        generate_lesion(anatomy, mask, model, **options, steps=4)


def test_a_model_of_the_papers_form(corner, tmp_path):
    """Saved with its 118 masks, transformer and coordinates, loaded, and used."""
    form = {"anatomy_code": "masks", "attention": "transformer", "position": "coordinates"}
    config = dataclasses.replace(TINY, patch=32, **form)
    folder = save_model_folder(tmp_path / "paper", Denoiser(config).state_dict(), model_config("paper", config))
    model = load_model(folder, "cpu", precision="float32")
    assert model.network.config == config and model.config["conditions"]["anatomy_planes"] == 118
    result = denoise.denoise(corner, model, sigma=20, quality="paper", steps=1, region="abdomen")
    assert result.volume.same_grid(corner)
    wrong = model_config("wrong", config) | {"conditions": conditions("bits")}
    with pytest.raises(InputError, match="other HU windows or conditions"):
        load_model(save_model_folder(tmp_path / "wrong", Denoiser(config).state_dict(), wrong), "cpu")


def test_a_lesion_is_inpainted_as_equation_13_says(corner, tiny_model_with_controls):
    """Whatever the model's own settings: at 1 mm from noise, every timestep once, no start and no bounds of the kind's
    HU, plain means of windows, and up to the mask's edge all of it new.
    """
    kind = {"start_hu": 0.0, "t_start": 200, "range_hu": [-90, 90]}
    own = {"inpaint-lesion": {"spacing_mm": None, "steps": 6, "blend_mm": 2.8}, "lesion-lung": kind}
    network = ExactNetwork(Prior({118: 230.0}, ABDOMEN, other=230.0, deviation_hu=1.0), patch=16)
    model = dataclasses.replace(
        tiny_model_with_controls, network=network, config=tiny_model_with_controls.config | {"tasks": own}
    )
    voxels = np.zeros(corner.voxels.shape, np.uint8)
    body = np.argwhere(corner.voxels > -50)
    middle = body[np.abs(body - body.mean(axis=0)).sum(axis=1).argmin()]
    voxels[tuple(slice(c - 2, c + 2) for c in middle)] = 1
    mask = corner.with_voxels(voxels)
    result = inpaint_lesion(corner, mask, model, quality="paper", region="abdomen", kind="lung")
    facts, made = result.facts, result.volumes[0].voxels
    assert facts.timesteps == list(range(990, -1, -1)) and facts.network_evaluations == 991 * facts.windows
    assert (facts.resample, facts.grid, facts.blend_mm, facts.begun_from_hu) == (1, "1.0 mm", 0.0, None)
    assert np.abs(made[voxels > 0] - 230.0).max() < 6  # the mask's outermost voxels, too, and beyond the kind's 90 HU
    assert np.array_equal(made[voxels == 0], corner.voxels[voxels == 0])
    assert inpaint_lesion(corner, mask, model, region="abdomen", kind="lung").facts.timesteps[0] == 200
    asked = inpaint_lesion(corner, mask, model, quality="paper", region="abdomen", kind="lung", steps=3, resample=2)
    assert (asked.facts.timesteps, asked.facts.resample) == ([990, 495, 0], 2)
