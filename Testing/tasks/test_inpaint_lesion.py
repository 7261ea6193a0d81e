"""Lesion inpainting on real CT with tiny random networks, and with one whose answer is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from exact_model import ExactNetwork, Prior
from scipy import ndimage

from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.inference.tiles import Tiling
from MedDiffFMLib.models.controlnet_folder import load_controlnet
from MedDiffFMLib.models.loading import Model
from MedDiffFMLib.tasks import lesion_inpainter as lesion_task
from MedDiffFMLib.tasks.inpaint_lesion import inpaint_lesion, look
from MedDiffFMLib.volumes.io import read_volume
from MedDiffFMLib.volumes.volume import Volume

FAST = {"spacing_mm": None, "steps": 3, "resample": 2}


def with_settings(model, **settings):
    return replace(model, config=model.config | {"tasks": {"inpaint-lesion": FAST | settings}})


@pytest.fixture(scope="module")
def model(tiny_model_with_controls):
    """Tiny, random, its windows 16³; on the scan's own grid, three steps."""
    return with_settings(tiny_model_with_controls)


@pytest.fixture(scope="module")
def ct(data) -> Volume:
    """A corner of the real abdomen with body, bone and air: 24 × 64 × 60 voxels of 3 mm."""
    image = read_volume(data / "abd_ts_example.nii.gz").to_sitk()
    return Volume.from_sitk(image[0:60, 20:84, 40:64], "abdomen")


def ball(ct: Volume, center=(12, 30, 34), radius_mm=9.0) -> Volume:
    """A lesion mask: a ball around a voxel (z, y, x), by default well inside the body."""
    axes = [(np.arange(n) - c) * s for n, c, s in zip(ct.voxels.shape, center, ct.spacing[::-1], strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return replace(ct, voxels=(z**2 + y**2 + x**2 <= radius_mm**2).astype(np.uint8), source="mask.nii.gz")


def even(ct: Volume, hu: int) -> Volume:
    """The CT with all of its tissue at one HU, every other voxel 1 HU more: an area of one value would be padding."""
    pattern = hu + np.indices(ct.voxels.shape).sum(axis=0) % 2
    return ct.with_voxels(np.where(ct.voxels > -400, pattern, ct.voxels).astype(np.int16))


def long_lesion(ct: Volume) -> Volume:
    """Two balls that make one lesion of two windows."""
    return replace(ct, voxels=ball(ct, (12, 24, 34)).voxels | ball(ct, (12, 38, 34)).voxels)


def inpaint(ct, mask, model, **options):
    return inpaint_lesion(ct, mask, model, **{"region": "abdomen"} | options)


def test_outside_the_mask_every_voxel_is_bit_identical_and_inside_it_is_new(ct, model):
    mask = ball(ct)
    result = inpaint(ct, mask, model).volumes[0]
    inside = mask.voxels > 0
    assert (result.spacing, result.origin, result.direction) == (ct.spacing, ct.origin, ct.direction)
    assert result.voxels.dtype == ct.voxels.dtype == np.int16
    assert np.array_equal(result.voxels[~inside], ct.voxels[~inside])
    assert np.mean(result.voxels[inside] != ct.voxels[inside]) > 0.9


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "ASL", "SPR"])
def test_every_orientation_gives_the_same_voxels(ct, model, orientation):
    reference = inpaint(ct, ball(ct), model).volumes[0]
    turn = lambda volume: Volume.from_sitk(sitk.DICOMOrient(volume.to_sitk(), orientation), "turned")  # noqa: E731
    result = inpaint(turn(ct), turn(ball(ct)), model).volumes[0]
    back = Volume.from_sitk(sitk.DICOMOrient(result.to_sitk(), "LPS"))
    assert np.array_equal(back.voxels, reference.voxels)


@pytest.mark.parametrize("spacing_mm", [1.0, None])
def test_an_oblique_anisotropic_scan_keeps_every_voxel_outside_on_any_working_grid(ct, model, spacing_mm):
    """Tilted by 20° about x, 0.7 × 0.9 × 4 mm, HU with fractions, computed at 1 mm or on its own grid."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    voxels = ct.voxels[5:13, 10:50, 10:50].astype(np.float32) + np.float32(0.3)
    tilted = Volume(voxels, (0.7, 0.9, 4.0), (12.5, -7.25, 3.0), (1, 0, 0, 0, c, -s, 0, s, c), "tilted")
    mask = ball(tilted, (4, 20, 24), 6.0)
    result = inpaint(tilted, mask, with_settings(model, spacing_mm=spacing_mm)).volumes[0]
    inside = mask.voxels > 0
    assert (result.spacing, result.origin, result.direction) == (tilted.spacing, tilted.origin, tilted.direction)
    assert result.voxels.dtype == np.float32
    assert np.array_equal(result.voxels[~inside], tilted.voxels[~inside])
    assert np.mean(result.voxels[inside] != tilted.voxels[inside]) > 0.9


def test_hu_beyond_the_window_are_new_inside_the_mask_and_kept_outside(ct, model):
    """A mask over bone: the abdomen's window ends at 240 HU, so no new core voxel is above; bone beside it stays."""
    bone = np.argwhere(ct.voxels[5:-5, 5:-5, 5:-5] > 400)[0] + 5
    mask = ball(ct, tuple(bone), 9.0)
    inside = mask.voxels > 0
    core = ball(ct, tuple(bone), 4.0).voxels > 0
    result = inpaint(ct, mask, model, anatomy="none").volumes[0]
    assert ct.voxels[core].max() > 400 and result.voxels[core].max() <= 240
    assert (ct.voxels[~inside] > 400).sum() > 100
    assert np.array_equal(result.voxels[~inside], ct.voxels[~inside])


@pytest.mark.parametrize("spacing_mm", [None, 1.5])
def test_a_network_of_known_answer_fills_the_mask_with_its_hu(ct, model, spacing_mm):
    """A network that believes every voxel of the body to be 90 ± 5 HU fills the mask with that, in place of what was
    there. Its law is independent of the ControlNet's residuals and of the known voxels."""
    network = ExactNetwork(Prior({118: 90.0}, window=(-120.0, 240.0), other=90.0), patch=16)
    exact = with_settings(replace(model, network=network), spacing_mm=spacing_mm, steps=30, resample=1, blend_mm=0.5)
    mask = ball(ct, radius_mm=7.0)
    result = inpaint(ct, mask, exact, seed=2).volumes[0].voxels[mask.voxels > 0].astype(float)
    assert result.mean() == pytest.approx(90, abs=2)
    assert 2 < result.std() < 7


def of_kind(model, **settings):
    """The model whose lesions of the lung begin and end as given."""
    return replace(model, config=model.config | {"tasks": {"inpaint-lesion": FAST, "lesion-lung": settings}})


def test_a_lesion_may_begin_from_its_kinds_hu_at_less_noise(ct, model):
    """The network is first asked about √ᾱ_300·x + √(1 − ᾱ_300)·z, x the CT with 40 HU in the mask; z is the seed's."""
    asked, ct = [], ct.with_voxels(np.where(ct.voxels == 40, 41, ct.voxels).astype(np.int16))
    own, mask = of_kind(model, start_hu=40.0, t_start=300), ball(ct)
    hook = model.network.register_forward_hook(lambda module, inputs, output: asked.append(inputs[:2]))
    result = inpaint(ct, mask, own, seed=4)
    hook.remove()
    x_t, t = asked[0]
    alpha = float(model.schedule.alpha_bar[300])
    z = torch.randn(x_t.shape[2:], generator=torch.Generator().manual_seed(4))
    begun = ((x_t[0, 0] - math.sqrt(1 - alpha) * z) / math.sqrt(alpha)).numpy()
    painted = np.isclose(begun, (40 + 120) / 180 - 1, atol=1e-4)
    assert int(t[0]) == 300 == result.facts.timesteps[0] and result.facts.begun_from_hu == 40.0
    assert painted.sum() == (mask.voxels > 0).sum()
    assert inpaint(ct, mask, model).facts.begun_from_hu is None


def test_estimates_within_the_mask_stay_in_the_kinds_range(ct, model):
    """A network that believes in 90 HU, a kind that ends at 50: the lesion has 50 HU, the surroundings their own."""
    network = ExactNetwork(Prior({118: 90.0}, (-120.0, 240.0), other=90.0), patch=16)
    exact = of_kind(replace(model, network=network), range_hu=[-50, 50])
    mask = ball(ct)
    result = inpaint(ct, mask, exact).volumes[0].voxels
    inside = mask.voxels > 0
    core = ndimage.binary_erosion(inside)
    assert (result[core] == 50).all() and np.array_equal(result[~inside], ct.voxels[~inside])


def test_the_lesion_fades_in_within_the_mask_over_the_stated_depth(ct, model):
    """All new HU are 90, in place of 0, over a blend of 6 mm: half of it at the edge, 3 mm from the nearest voxel
    outside; at the next, √2 · 3 mm from one beside the line, 0.707; then all."""
    network = ExactNetwork(Prior({118: 90.0}, (-120.0, 240.0), other=90.0, deviation_hu=0.1), patch=16)
    exact = with_settings(replace(model, network=network), steps=20, resample=1, blend_mm=6.0)
    flat = even(ct, 0)
    mask = ball(flat, radius_mm=12.0)
    line = inpaint(flat, mask, exact).volumes[0].voxels[12, 30, 28:41]
    assert np.abs(line - [0, 0, 45, 64, 90, 90, 90, 90, 90, 64, 45, 0, 0]).max() <= 1


def test_the_seed_decides_the_voxels_and_samples_follow_one_another(ct, model):
    mask = ball(ct)
    inside = mask.voxels > 0
    run = lambda **options: [v.voxels for v in inpaint(ct, mask, model, **options).volumes]  # noqa: E731
    two = run(seed=7, samples=2)
    assert np.array_equal(two[0], run(seed=7)[0]) and np.array_equal(two[1], run(seed=8)[0])
    assert np.mean(two[0][inside] != two[1][inside]) > 0.8


def test_another_mask_gives_another_image_through_the_controlnet(ct, model):
    """Where two masks overlap, with the same noise, the image differs."""
    small, large = ball(ct, radius_mm=9), ball(ct, radius_mm=13)
    both = small.voxels > 0
    a, b = (inpaint(ct, mask, model).volumes[0].voxels[both] for mask in (small, large))
    assert np.mean(a != b) > 0.4  # the others end at the window in both


def test_the_controlnet_sees_the_mask_at_its_place(ct, model, monkeypatch):
    """The ControlNet's input is the mask in the window's place, in RAS order; without it the lesion is another."""
    seen = []

    def spy(self, name, kinds):
        control = load_controlnet(self, name)
        control.register_forward_hook(lambda module, inputs, output: seen.append(inputs[-1][0, 0].numpy()))
        return control

    mask = ball(ct, (8, 30, 34))
    mask.voxels[8:12, 30, 37:41] = 1  # not symmetric
    with_it = inpaint(ct, mask, model).volumes[0].voxels
    monkeypatch.setattr(Model, "controlnet", spy)
    inpaint(ct, mask, model)
    in_ras = mask.voxels[:, ::-1, ::-1]  # the file is LPS
    where = lesion_task.lesion_box(in_ras > 0, 16, 0.125).slices
    assert in_ras[where].sum() == mask.voxels.sum() and seen
    assert all(np.array_equal(target, in_ras[where]) for target in seen)
    monkeypatch.setattr(Model, "controlnet", lambda self, name, kinds: None)
    assert not np.array_equal(with_it, inpaint(ct, mask, model).volumes[0].voxels)


def count_forwards(ct, mask, model, **options):
    calls = []
    hook = model.network.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    try:
        result = inpaint(ct, mask, model, **options)
    finally:
        hook.remove()
    return sum(calls), result


def test_the_cost_follows_the_lesion_and_not_the_volume(ct, model):
    """The same lesion in a scan, and in one eight times as large: one window each, (3 − 1)·2 + 1 evaluations."""
    large = Volume(np.tile(ct.voxels, (2, 2, 2)), ct.spacing, source="large")
    assert large.voxels.size == 8 * ct.voxels.size
    for volume in (ct, large):
        calls, result = count_forwards(volume, ball(volume), model)
        assert calls == result.facts.network_evaluations == 5 and result.facts.windows == 1
    calls, result = count_forwards(ct, long_lesion(ct), model)
    assert calls == 5 * result.facts.windows == 10


def test_windows_between_two_lesions_are_not_computed(ct, model):
    far = replace(ct, voxels=ball(ct, (12, 14, 30), 6).voxels | ball(ct, (12, 50, 30), 6).voxels)
    plan = count_forwards(ct, far, model)[1].facts
    between = np.zeros_like(far.voxels)
    between[12, 14:51, 30] = 1
    assert plan.windows < count_forwards(ct, replace(far, voxels=between | far.voxels), model)[1].facts.windows


def test_steps_and_resampling_are_adjustable(ct, model):
    calls, result = count_forwards(ct, ball(ct), model, steps=4, resample=3, samples=2)
    assert calls == result.facts.network_evaluations == 2 * (3 * 3 + 1)
    assert len(result.facts.timesteps) == 4 and result.facts.timesteps[-1] == 0
    assert result.facts.resample == 3


def test_resampling_stands_inside_the_time_loop(ct, model):
    """The network is asked U times at every timestep but the last, from high to low."""
    times = []
    hook = model.network.register_forward_hook(lambda module, inputs, output: times.append(int(inputs[1][0])))
    inpaint(ct, ball(ct), model, steps=3, resample=3)
    hook.remove()
    assert times == [990] * 3 + [248] * 3 + [0]


def test_the_place_in_the_body_is_that_of_the_whole_scan(ct, model):
    """The position code of the window is the one it would have if all windows were computed: another place of the same
    lesion in the same tissue gives other voxels."""
    flat = even(ct, 40)
    here, there = ball(flat, (12, 30, 28)), ball(flat, (12, 30, 40))
    a = inpaint(flat, here, model).volumes[0].voxels[8:17, 24:37, 22:35]
    b = inpaint(flat, there, model).volumes[0].voxels[8:17, 24:37, 34:47]
    assert a.shape == b.shape and not np.array_equal(a, b)


def test_the_region_is_that_of_the_slices_around_the_lesion(data, model):
    """A scan of mostly abdomen with the lesion in its lung: the chest's window, not the abdomen's."""
    rng = np.random.default_rng(0)
    voxels = np.full((100, 40, 40), -1000, np.int16)
    voxels[:, 4:36, 4:36] = rng.integers(20, 60, (100, 32, 32))
    voxels[60:, 8:32, 8:32] = rng.integers(-880, -780, (40, 24, 24))
    scan = Volume(voxels, (8.0, 8.0, 3.0), source="scan")
    mask = ball(scan, (85, 20, 20), 20.0)
    assert inpaint(scan, mask, model, region="auto").facts.region == "chest"
    mask = ball(scan, (20, 20, 20), 20.0)
    assert inpaint(scan, mask, model, region="auto").facts.region == "abdomen"


def empty(ct):
    return replace(ct, voxels=np.zeros(ct.voxels.shape, np.uint8), source="mask.nii.gz")


def in_air(ct):
    return ball(ct, tuple(np.argwhere(ct.voxels[4:-4, 4:-4, 4:-4] < -990)[0] + 4), 5.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty, "empty"),
        (in_air, "outside the body"),
        (lambda ct: ball(ct, (12, 30, 34), 80.0), "ml"),
        (lambda ct: ball(ct, (0, 30, 34)), "border"),
        (lambda ct: ball(ct, (22, 30, 34)), "border"),
        (lambda ct: replace(ball(ct), origin=(0.0, 0.0, 999.0)), "grid"),
        (lambda ct: replace(ball(ct), voxels=ball(ct).voxels[1:]), "grid"),
    ],
)
def test_a_mask_that_is_none_is_refused_in_a_sentence(ct, model, make, words):
    with pytest.raises(InputError, match=words) as refusal:
        inpaint(ct, make(ct), model)
    assert str(refusal.value).startswith("mask.nii.gz ") and ": " in str(refusal.value)


def test_a_mask_that_fills_a_small_scan_is_refused(ct, model):
    small = Volume(ct.voxels[6:18, 22:42, 24:44], ct.spacing, source="small")
    mask = np.zeros_like(small.voxels, np.uint8)
    mask[1:-1, 1:-1, 1:-1] = 1
    with pytest.raises(InputError, match="% of the body"):
        inpaint(small, replace(small, voxels=mask), model)


def test_a_mask_finer_than_the_working_grid_is_refused(ct, model):
    fine = Volume(ct.voxels[:, 20:40, 20:40], (0.3, 0.3, 3.0), source="fine")
    mask = np.zeros_like(fine.voxels, np.uint8)
    mask[12, 10, 9] = 1
    with pytest.raises(InputError, match="finer"):
        inpaint(fine, replace(fine, voxels=mask), with_settings(model, spacing_mm=2.0))


def test_several_labels_all_count_and_a_resampled_mask_is_said(ct, model):
    mask = ball(ct)
    several = replace(mask, voxels=mask.voxels.astype(np.uint16) * 256)
    several.voxels[12] = mask.voxels[12]
    result = inpaint(ct, replace(several, resampled=True), model)
    assert result.facts.lesion_labels == [1, 256]
    assert result.facts.lesion_mask == "given, resampled"
    assert np.array_equal(result.volumes[0].voxels, inpaint(ct, mask, model).volumes[0].voxels)
    assert result.facts.lesion_ml == pytest.approx(np.count_nonzero(mask.voxels) * 0.027, abs=1e-3)


def test_kinds_are_those_of_the_model(ct, model, tiny_model, monkeypatch):
    names = lambda *kinds: monkeypatch.setattr(lesion_task, "controlnet_names", lambda folder: list(kinds))  # noqa: E731
    choose = lesion_task.choose_kind
    chest, neck = (lesion_task.Region(name, 0, (0, 1)) for name in ("chest", "head-neck"))
    assert [choose(model, kind, neck) for kind in ("auto", "lung", "lesion-lung")] == ["lesion-lung"] * 3
    with pytest.raises(InputError, match=r"'liver'.*one of lung"):
        choose(model, "liver", chest)
    with pytest.raises(InputError, match="no ControlNet for lesions"):
        choose(tiny_model, "auto", chest)
    names("lesion-liver-tumor", "lesion-lung-tumor", "super-resolution")
    assert choose(model, "auto", chest) == "lesion-lung-tumor"
    with pytest.raises(InputError, match=r"head-neck.*liver-tumor, lung-tumor"):
        choose(model, "auto", neck)


def test_progress_counts_every_evaluation_and_cancel_stops_within_one_window(ct, model):
    events, shown, mask = [], [], ball(ct)

    def look(p):
        events.append(p)
        if p.preview:
            shown.append(p.preview().voxels != ct.voxels[:, ::-1, ::-1])  # in RAS order; the file is LPS

    inpaint(ct, mask, model, progress=look, samples=2)
    assert len(shown) == 10 and all((mask.voxels[:, ::-1, ::-1] >= new).all() and new.sum() > 90 for new in shown)
    fractions = [p.fraction for p in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and events[-1].steps == 10

    def stop(p):
        if p.window == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        inpaint(ct, ball(ct), model, progress=stop)


def test_the_result_is_said_to_be_synthetic_and_the_shell_is_told(ct, model):
    result = inpaint(ct, ball(ct), model, samples=2)
    assert len(result.outputs()["output"]) == 2
    assert result.summary().startswith("2 CTs with a lung lesion of 3.")


def test_batches_of_windows_do_not_change_the_voxels(ct, model, monkeypatch):
    run = lambda: inpaint(ct, long_lesion(ct), model).volumes[0].voxels  # noqa: E731
    one = run()
    settings = lesion_task.LesionSettings
    monkeypatch.setattr(settings, "tiling", property(lambda of: Tiling(of.overlap, of.tile_weights, batch=3)))
    assert np.abs(run().astype(int) - one).max() <= 1


def test_a_lesion_box_by_hand():
    """Patch 16, margin ⅛ (2 voxels): small lesions in the middle of one window, moved in at the borders; a large one
    with 2 voxels around it; never more than the volume."""
    lesion = np.zeros((40, 12, 40), bool)
    lesion[18:22, 3:6, 2:5] = True
    box = lesion_task.lesion_box(lesion, 16, 0.125)
    assert (box.start, box.size) == ((12, 0, 0), (16, 12, 16))
    lesion[10:30] = lesion[20]
    box = lesion_task.lesion_box(lesion, 16, 0.125)
    assert (box.start, box.size) == ((8, 0, 0), (24, 12, 16))


def test_what_is_random_does_not_come_from_torchs_own_generator(ct, model):
    torch.manual_seed(1)
    a = inpaint(ct, ball(ct), model).volumes[0].voxels
    torch.manual_seed(2)
    assert np.array_equal(a, inpaint(ct, ball(ct), model).volumes[0].voxels)


@pytest.mark.parametrize("mask", [ball, long_lesion])
def test_a_look_foretells_what_a_run_computes(ct, model, mask):
    """As many evaluations, of one window or two, twice as many for two samples; kind and region; a time for each."""
    options = {"anatomy": "none", "samples": 2, "region": "abdomen"}
    found = look(ct, mask(ct), model, **options)
    facts = inpaint_lesion(ct, mask(ct), model, **options).facts
    assert {key: found[key] for key in ("region", "kind", "network_evaluations")} == {
        key: getattr(facts, key) for key in ("region", "kind", "network_evaluations")
    }
    assert 0 < found["seconds_each"] < 60


def test_a_look_refuses_what_a_run_refuses(ct, model):
    with pytest.raises(InputError, match="outside the body"):
        look(ct, in_air(ct), model, region="abdomen", anatomy="none")
    with pytest.raises(InputError, match="kind 'liver'"):
        look(ct, ball(ct), model, region="abdomen", kind="liver")
