"""Super-resolution: block means, geometry and HU, on real CT with a tiny random network and ControlNet."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from MedDiffFMLib.anatomy.tissue import BodyImage
from MedDiffFMLib.diffusion.slice_operators import cubic_slices, replicate
from MedDiffFMLib.diffusion.slice_profile import SliceProfile
from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.inference.noise_predictor import NoisePredictor
from MedDiffFMLib.parameters import SuperResolveParameters
from MedDiffFMLib.progress import Reporter
from MedDiffFMLib.tasks.scan import analyze_scan
from MedDiffFMLib.tasks.settings import settings_for
from MedDiffFMLib.tasks.super_resolve import QUALITIES, choose_factor, look, super_resolve
from MedDiffFMLib.tasks.thin_slices import SliceSplit, compose_thin_slices, split_slices
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

QUICK = {"quality": "fast", "steps": 1, "region": "abdomen"}


@pytest.fixture(scope="module")
def thick(data) -> Volume:
    """A corner of the real abdomen with body, bone and air: 6 slices of 24 × 22 voxels, said to be 5 mm apart."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()[8:30, 48:72, 50:56]
    image.SetSpacing((1.5, 1.25, 5.0))
    return Volume.from_sitk(image, "abdomen")


def means(volume: Volume, factor: int, axis: int) -> np.ndarray:
    """Block means by numpy, float64."""
    moved = np.moveaxis(volume.voxels.astype(np.float64), axis, 0)
    return np.moveaxis(moved.reshape(-1, factor, *moved.shape[1:]).mean(1), 0, axis)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_block_means_are_the_input_to_the_last_bit(thick, tiny_model_with_controls, factor):
    result = super_resolve(thick, tiny_model_with_controls, factor=factor, **QUICK)
    assert result.volume.voxels.dtype == np.int16 and result.volume.voxels.shape == (6 * factor, 24, 22)
    np.testing.assert_allclose(means(result.volume, factor, 0), thick.voxels, atol=1e-9)
    assert result.facts.block_mean_error_hu == 0
    assert result.volume.voxels.min() >= -1024 and result.volume.voxels.std() > 100


def test_the_profile_of_a_thickness_keeps_its_means(thick, tiny_model_with_controls):
    """By the matrix of the profile: 7 mm every 5 mm from the volume's header; within 1/4 HU as whole numbers."""
    known = replace(thick, slice_thickness=7.0)
    result = super_resolve(known, tiny_model_with_controls, factor=5, **QUICK)
    profile, hu = SliceProfile(6, 5, 1.4), result.volume.voxels.astype(np.float64)
    apart = np.tensordot(profile.matrix, hu, 1) - thick.voxels
    assert np.abs(apart).max() < 0.26 and result.facts.block_mean_error_hu == pytest.approx(
        np.abs(apart).max(), abs=1e-3
    )
    assert (result.facts.slice_thickness_mm, result.facts.slice_thickness_from) == (7, "dicom")
    assert result.facts.slice_means == "profile" and "7 mm thick, 5 mm apart" in result.summary()
    assert np.abs(means(result.volume, 5, 0) - thick.voxels).max() > 5
    shifted = known.with_voxels(thick.voxels.astype(np.float32) + np.float32(0.37))
    floats = super_resolve(shifted, tiny_model_with_controls, factor=5, thickness=1.5, **QUICK)
    apart = np.tensordot(SliceProfile(6, 5, 0.3).matrix, floats.volume.voxels.astype(np.float64), 1) - shifted.voxels
    assert np.abs(apart).max() < 0.02 and floats.facts.slice_thickness_from == "option"


def test_where_no_thickness_is_known_slices_are_plain_means(thick, tiny_model_with_controls):
    result = super_resolve(thick, tiny_model_with_controls, factor=5, **QUICK)
    facts = result.facts.to_dict()
    assert (facts["slice_thickness_mm"], facts["slice_thickness_from"], facts["slice_means"]) == (
        5,
        "distance",
        "plain",
    )
    assert "as thick as they are 5 mm apart" in result.summary()
    across = replace(thick, slice_thickness=2.0, spacing=(7.0, 1.25, 2.0))  # columns are split, which have no thickness
    found = look(across, tiny_model_with_controls, **QUICK)
    assert (found["slice_thickness_mm"], found["slice_thickness_from"]) == (7, "distance")


def test_a_thickness_that_cannot_be_is_refused(thick, tiny_model_with_controls):
    with pytest.raises(InputError, match=r"--thickness cannot be 51: use a number from 0\.01 to 30"):
        SuperResolveParameters.from_dict({"thickness": 51})
    with pytest.raises(InputError, match="plain means, as published: leave out --thickness"):
        SuperResolveParameters.from_dict({"thickness": 5, "quality": "paper"})
    near = replace(thick, spacing=(1.5, 1.25, 2.0))
    with pytest.raises(InputError, match="2 mm apart, and 21 mm thick: they share too much"):
        look(near, tiny_model_with_controls, thickness=21)


def test_no_bright_rim_where_an_estimate_puts_an_edge_too_far():
    """Liver of 60 HU below lung of −850, the edge three slices of five into the third block; the estimate has it a
    slice lower. Its mean was made right by 182 HU on all five: now the liver is never above 80 HU, the means stay.
    """
    truth = np.full((25, 2, 2), -850, np.float32)
    truth[:13] = 60
    hu = truth.reshape(5, 5, 2, 2).mean(1)
    scan = analyze_scan(Volume(hu, source="edge"), "chest", Reporter(None))
    scan = replace(scan, image=BodyImage(hu, scan.frame.spacing, np.ones(hu.shape, bool)))
    scan.frame.volume.voxels[:] = hu
    estimate = np.roll(truth, -1, axis=0)
    estimate[-1] = -850
    for thickness in (None, 1.0):
        split = SliceSplit(-3, 5, thickness)
        thick = split.means(torch.from_numpy(truth)).numpy()
        scan.frame.volume.voxels[:] = thick
        got = compose_thin_slices(estimate, scan, split)
        assert split.with_means(torch.from_numpy(estimate), torch.from_numpy(thick)).max() > 150
        assert got.max() < 81 and np.abs(split.means(got).numpy() - thick).max() < 0.1, thickness


def test_floats_keep_their_block_means_within_a_hundredth(thick, tiny_model_with_controls):
    shifted = thick.with_voxels(thick.voxels.astype(np.float32) + np.float32(0.37))
    result = super_resolve(shifted, tiny_model_with_controls, factor=3, **QUICK)
    assert result.volume.voxels.dtype == np.float32
    np.testing.assert_allclose(means(result.volume, 3, 0), shifted.voxels, atol=0.01)


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "ASL", "SPR"])
def test_every_orientation_gives_the_same_voxels(thick, tiny_model_with_controls, orientation):
    """The same scan stored with other axes, its slices along the first, second or third of them, is the same scan."""
    reference = super_resolve(thick, tiny_model_with_controls, factor=2, **QUICK).volume
    turned = Volume.from_sitk(sitk.DICOMOrient(thick.to_sitk(), orientation), "turned")
    result = super_resolve(turned, tiny_model_with_controls, factor=2, **QUICK).volume
    assert result.direction == turned.direction
    back = sitk.DICOMOrient(result.to_sitk(), "LPS")
    assert np.array_equal(sitk.GetArrayFromImage(back), reference.voxels)
    np.testing.assert_allclose(back.GetOrigin(), reference.origin, atol=1e-9)
    np.testing.assert_allclose(back.GetSpacing(), reference.spacing, atol=1e-12)


@pytest.mark.parametrize(
    ("plane", "axis", "spacing"), [("coronal", 1, (1.5, 5.0, 1.0)), ("sagittal", 2, (5.0, 1.5, 1.0))]
)
def test_coronal_and_sagittal_stacks_are_split_along_their_own_slices(
    thick, tiny_model_with_controls, plane, axis, spacing
):
    voxels = np.moveaxis(thick.voxels, 0, axis)
    stack = Volume(np.ascontiguousarray(voxels), spacing, source=plane)
    result = super_resolve(stack, tiny_model_with_controls, factor=2, **QUICK)
    assert result.facts.plane == plane
    assert result.volume.voxels.shape[axis] == 12
    assert means(result.volume, 2, axis) == pytest.approx(voxels)


def test_geometry_of_a_flipped_and_oblique_stack_by_hand(thick, tiny_model_with_controls):
    """30° about x, slices counted downwards: the slice axis is −(0, −½, √¾). The first of 5 thin slices lies 2 mm, two
    of its 1 mm, before the center of the thick one.
    """
    c, s = np.sqrt(0.75), 0.5
    direction = (1, 0, 0, 0, c, s, 0, s, -c)  # rows; the third column is the slice axis (0, ½, −√¾)
    stack = replace(thick, origin=(10.0, 20.0, 30.0), direction=tuple(map(float, direction)))
    result = super_resolve(stack, tiny_model_with_controls, factor=5, **QUICK).volume
    np.testing.assert_allclose(result.origin, (10.0, 20.0 - 2 * 0.5, 30.0 + 2 * c), atol=1e-9)
    np.testing.assert_allclose(result.spacing, (1.5, 1.25, 1.0), atol=1e-12)
    np.testing.assert_allclose(result.direction, stack.direction, atol=1e-12)
    np.testing.assert_allclose(result.size_mm, stack.size_mm)
    np.testing.assert_allclose(means(result, 5, 0), stack.voxels)


def test_splitting_another_axis_by_hand():
    """Along x, spacing 3 in 2: centers move from 0 to −0.75 along the first column of the direction, here −x."""
    volume = Volume(np.zeros((2, 2, 2)), (3.0, 1.0, 1.0), (0, 0, 0), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    split = split_slices(volume, -1, 2, np.zeros((2, 2, 4)))
    assert (split.origin, split.spacing) == ((0.75, 0.0, 0.0), (1.5, 1.0, 1.0))


def test_hu_beyond_the_window_and_outside_the_body_are_interpolated():
    """Columns of bone, of lung, of air outside the body: exact block means of cubic interpolation, whatever the
    network says; columns within the window take what it says, but for their mean.
    """
    hu = np.zeros((4, 4, 4), np.float32)
    hu[:, 0] = [[900], [1000], [1100], [1000]]
    hu[:, 1] = [[-800], [-700], [-850], [-800]]
    hu[:, 2] = [[10], [20], [30], [20]]
    scan = analyze_scan(Volume(hu, source="columns"), "abdomen", Reporter(None))
    scan = replace(scan, image=BodyImage(hu, scan.frame.spacing, np.ones(hu.shape, bool)))
    scan.body[:, 3] = False
    scan.frame.volume.voxels[:] = hu  # as built, whatever way its axes turn
    estimate = np.tile(np.array([-20, 20], np.float32), 4)[:, None, None] * np.ones((8, 4, 4), np.float32)
    got, smooth = compose_thin_slices(estimate, scan, SliceSplit(-3, 2)), cubic_slices(torch.from_numpy(hu), 2)
    for column in (0, 1, 3):
        assert torch.allclose(got[:, column], smooth[:, column], atol=1e-3)
    # within: −20 and 20 about the mean
    assert torch.allclose(
        got[:, 2], replicate(torch.from_numpy(hu), 2)[:, 2] + torch.from_numpy(estimate)[:, 2], atol=1e-3
    )


def test_detail_is_added_to_what_lies_beyond_the_window():
    """At the rim of a bone, interpolated 300 HU, the network says 100 of at most 240: 140 less, then the mean."""
    hu = np.full((3, 2, 2), 300, np.float32)
    hu[0] = 0
    scan = analyze_scan(Volume(hu, source="rim"), "abdomen", Reporter(None))
    scan = replace(scan, image=BodyImage(hu, scan.frame.spacing, np.ones(hu.shape, bool)))
    scan.frame.volume.voxels[:] = hu
    smooth = cubic_slices(torch.from_numpy(hu), 2)
    estimate = smooth.clamp(-120, 240).numpy()
    assert torch.allclose(compose_thin_slices(estimate, scan, SliceSplit(-3, 2)), smooth, atol=1e-3)
    lower, upper = float(smooth[2, 0, 0]), float(smooth[3, 0, 0])  # the two halves of the second slice, about 300
    estimate[2] = 100
    change = 100 - min(lower, 240)
    got = compose_thin_slices(estimate, scan, SliceSplit(-3, 2))[2:4, 0, 0].tolist()
    assert got == pytest.approx([lower + change / 2, upper - change / 2], abs=1e-3)


def test_only_windows_of_the_body_are_computed(thick, tiny_model_with_controls):
    """With as much air again beside it, no more windows are computed, and the air is what interpolation says."""
    air = np.full((6, 24, 64), -1000, np.int16)
    wide = replace(thick, voxels=np.concatenate([air, thick.voxels], axis=2))
    result = super_resolve(wide, tiny_model_with_controls, factor=2, **QUICK)
    assert result.facts.windows_of_air >= result.facts.windows
    assert result.facts.network_evaluations == result.facts.windows
    assert (result.volume.voxels[:, :, :40] == -1000).all()


def test_the_seed_decides_the_voxels(thick, tiny_model_with_controls):
    run = lambda seed: super_resolve(thick, tiny_model_with_controls, factor=2, seed=seed, **QUICK).volume.voxels  # noqa: E731
    assert np.array_equal(run(1), run(1)) and not np.array_equal(run(1), run(2))


def test_the_controlnet_changes_the_result(thick, tiny_model_with_controls):
    run = lambda control: super_resolve(thick, tiny_model_with_controls, factor=2, control=control, **QUICK)  # noqa: E731
    events, alone = run("auto"), run("none")
    assert (events.facts.control, alone.facts.control) == ("super-resolution", "none")
    assert not np.array_equal(events.volume.voxels, alone.volume.voxels)


def test_another_target_of_the_controlnet_gives_another_image(thick, tiny_model_with_controls, monkeypatch):
    """The image that the walk starts from and the data step stay; only the ControlNet's input changes."""

    class Turned(NoisePredictor):
        def __call__(self, x_t, t):
            self.conditions = replace(self.conditions, target=-self.conditions.target)
            return super().__call__(x_t, t)

    def run(control):
        return super_resolve(thick, tiny_model_with_controls, factor=2, control=control, **QUICK).volume.voxels

    events, alone = run("auto"), run("none")
    monkeypatch.setattr("MedDiffFMLib.tasks.thin_slices.NoisePredictor", Turned)
    assert not np.array_equal(run("auto"), events)
    assert np.array_equal(run("none"), alone)


def test_given_organs_change_the_result(thick, tiny_model_with_controls):
    organs = thick.with_voxels(np.where(thick.voxels > 0, 51, 0).astype(np.uint8))
    run = lambda anatomy: super_resolve(thick, tiny_model_with_controls, anatomy, factor=2, **QUICK)  # noqa: E731
    given, auto = run(organs), run("auto")
    assert given.facts.anatomy == "given" and not np.array_equal(given.volume.voxels, auto.volume.voxels)


@pytest.mark.parametrize(
    ("mm", "asked", "factor"),
    [
        (5.0, {}, 5),
        (4.25, {}, 4),  # 1.06 mm is nearer to 1 mm than 0.85 mm
        (2.5, {}, 3),  # 0.83 mm rather than 1.25 mm
        (5.0, {"spacing": 2.0}, 3),
        (5.0, {"spacing": "0.5"}, 10),
        (2.0, {"factor": 4}, 4),
    ],
)
def test_factors(mm, asked, factor):
    volume = Volume(np.zeros((2, 2, 2)), (1.0, 1.0, mm))
    assert choose_factor(volume, SuperResolveParameters.from_dict(asked)) == factor


@pytest.mark.parametrize(
    ("mm", "asked", "words"),
    [
        (1.0, {}, "slices 1 mm apart"),
        (1.25, {}, "no even split of them comes nearer to 1 mm"),
        (3.0, {"spacing": 2.5}, "name a smaller --spacing"),
        (1.0, {"factor": 5}, "thinner than any scan"),
    ],
)
def test_what_is_thin_already_is_refused(mm, asked, words):
    volume = Volume(np.zeros((2, 2, 2)), (1.0, 1.0, mm), source="thin.nrrd")
    with pytest.raises(InputError, match=words) as refusal:
        choose_factor(volume, SuperResolveParameters.from_dict(asked))
    assert "thin.nrrd" in str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"factor": 2, "spacing": 1}, "give one of them"),
        ({"factor": 1}, "whole number from 2 to 20"),
        ({"factor": 2.5}, "whole number from 2 to 20"),
        ({"spacing": 0}, "0.3 to 10 mm"),
    ],
)
def test_what_cannot_be_asked(asked, words):
    with pytest.raises(InputError, match=words):
        SuperResolveParameters.from_dict(asked)


def test_a_model_without_the_controlnet_is_said(thick, tiny_model):
    with pytest.raises(InputError, match=r"tiny has no ControlNet 'super-resolution'.*--control none"):
        super_resolve(thick, tiny_model, **QUICK)


def test_the_papers_settings_and_a_models_own(tiny_model):
    paper = settings_for(tiny_model, "super-resolve", QUALITIES["paper"], "paper")
    assert (paper.t_start, paper.steps, paper.sigma_n, paper.prior_weight) == (990, 100, 1.0, 1.0)
    own = replace(tiny_model, config={"tasks": {"super-resolve": {"fast": {"t_start": 77}}}})
    assert settings_for(own, "super-resolve", QUALITIES["fast"], "fast").t_start == 77
    wrong = replace(tiny_model, config={"tasks": {"super-resolve": {"fast": {"sharpness": 2}}}})
    with pytest.raises(InputError, match="sharpness"):
        settings_for(wrong, "super-resolve", QUALITIES["fast"], "fast")


def test_cancel_stops_within_one_window(thick, tiny_model_with_controls):
    events = []

    def progress(p):
        events.append(p)
        if p.window == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        super_resolve(thick, tiny_model_with_controls, progress=progress, factor=2, region="abdomen")
    assert (events[-1].step, events[-1].window, events[-1].steps) == (0, 2, 12) and events[-1].windows > 2


@pytest.mark.parametrize("region", ["auto", "abdomen"])
def test_looking_tells_what_a_run_does(thick, tiny_model_with_controls, region):
    asked = {"quality": "fast", "spacing": 1.7, "region": region, "thickness": 8}
    found = look(thick, tiny_model_with_controls, **asked)
    facts = super_resolve(thick, tiny_model_with_controls, **asked).facts
    assert found["factor"] == facts.factor == 3 and found["seconds_each"] > 0
    for name in ("slice_thickness_mm", "slice_thickness_from", "slice_means"):
        assert found[name] == getattr(facts, name)
    assert found["network_evaluations"] == facts.network_evaluations > 0 and found["region"] == facts.region


def test_looking_refuses_thin_slices(thick, tiny_model_with_controls):
    with pytest.raises(InputError, match="no even split"):
        look(thick, tiny_model_with_controls, spacing=5)
