"""Whether a ControlNet listens: exactly not at its start, measurably when trained, as the bundled ones do."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from small_store import add_case
from tiny_model import TINY

from MedDiffFMLib.models.controlnet_folder import load_controlnet
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.networks.controlnet import ControlNet, ControlNetConfig
from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.data.store import CaseFacts, open_store
from MedDiffFMTraining.evaluate.probes.controlnet_response import check_condition, losses, reactions, wrong_conditions
from MedDiffFMTraining.evaluate.probes.crops import draw_samples


@pytest.fixture(scope="module")
def cases(data, tmp_path_factory):
    """A real chest in which a ball of 18 mm in the right lung plays the lesion."""
    folder = tmp_path_factory.mktemp("store")
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))
    hu = sitk.GetArrayFromImage(image)
    z, y, x = np.indices(hu.shape)
    ball = (z - 90) ** 2 + (y - 60) ** 2 + (x - 12) ** 2 < 6**2
    lesion = sitk.GetImageFromArray(ball.astype(np.uint8))
    lesion.CopyInformation(image)
    facts = CaseFacts("chest", "chest", "chest", tuple(image.GetSpacing()[::-1]), 10.0, True)
    add_case(folder, "train", facts, image, None, lesion)
    return open_store(folder, "train")


def samples_of(cases, target, count=2, patch=32):
    config = CropConfig(
        (patch,) * 3, (0, 0, 0, 1), keep_organs=1.0, keep_position=1.0, target=target, around_lesion=1.0
    )
    return draw_samples(cases, config, count, seed=0)


def quiet(line):
    pass


@pytest.mark.parametrize("kind", ["thick-ct", "lesion-mask"])
def test_at_its_start_a_control_changes_nothing_at_all(cases, tiny_model, kind):
    control = ControlNet(TINY, ControlNetConfig(kind=kind))
    control.start_from(tiny_model.network)
    samples = samples_of(cases, kind, patch=16)
    for row in reactions(tiny_model, control.eval(), samples, 2, quiet):
        assert row["condition"] == 0.0 and row["correlation"] is None and row["noise"] > 1
    for row in losses(tiny_model, control, samples, quiet):
        assert row["right"] == row["wrong"] == row["none"] > 0


def test_a_control_with_weights_reacts(cases, tiny_model_with_controls):
    model = tiny_model_with_controls
    samples = samples_of(cases, "lesion-mask", patch=16)
    for row in reactions(model, load_controlnet(model, "lesion-lung"), samples, 2, quiet):
        assert row["condition"] > 0 and row["inside"] > 0
    for row in losses(model, load_controlnet(model, "lesion-lung"), samples, quiet):
        assert row["right"] != row["none"]


def test_another_condition_is_another_one():
    mask = torch.zeros(1, 1, 1, 3)
    mask[..., 0] = 1
    assert wrong_conditions([mask], "lesion-mask")[0].flatten().tolist() == [0, 0, 1]
    a, b = torch.zeros(1), torch.ones(1)
    assert wrong_conditions([a, b], "thick-ct") == [b, a]


@pytest.fixture(scope="module")
def bundled():
    return load_model("meddiff-fm-small", device="cpu", precision="float32")


def test_the_bundled_super_resolution_follows_its_thick_slices(cases, bundled):
    """Other thick slices change the result more than other noise does, and as they themselves change."""
    control = load_controlnet(bundled, "super-resolution")
    row = reactions(bundled, control, samples_of(cases, "thick-ct", patch=16), 3, quiet)[0]
    assert row["condition"] > 2 * row["noise"] and row["correlation"] > 0.6


def test_the_bundled_lesion_appears_where_its_mask_is(cases, bundled):
    """Without the mask the voxels within it change more than those around; another mask moves the bright spot."""
    control = load_controlnet(bundled, "lesion-lung")
    row = reactions(bundled, control, samples_of(cases, "lesion-mask", count=1, patch=24), 3, quiet)[0]
    assert row["inside"] > 1.5 * row["outside"] and row["correlation"] > 0.3


def test_the_tables_hold_the_means(cases, tiny_model_with_controls):
    model, samples = tiny_model_with_controls, samples_of(cases, "lesion-mask", patch=16)
    loss, change = check_condition(model, load_controlnet(model, "lesion-lung"), samples, 2, quiet)
    first = [row for row in loss.cases if row["band"] == "0 ≤ t < 30"]
    right, wrong, none, gain = loss.lines[0].values
    assert right == pytest.approx(sum(row["right"] for row in first) / 2)
    assert gain == pytest.approx(100 * (none - right) / none) and wrong > 0
    assert [metric.name for metric in change.metrics] == ["condition", "noise", "correlation", "inside", "outside"]
    assert change.lines[0].values[0] == pytest.approx(sum(row["condition"] for row in change.cases) / 2)
