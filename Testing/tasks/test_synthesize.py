"""Synthesis: a network that knows each organ's HU makes them come out right through levels, windows and grids."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from exact_model import ExactNetwork, Prior, exact_model
from scipy import ndimage

from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.tasks.synthesize import look, synthesize
from MedDiffFMLib.volumes.io import read_labels
from MedDiffFMLib.volumes.volume import Volume

MEANS = {1: 110.0, 2: 160.0, 5: 60.0, 118: -80.0}  # spleen, right kidney, liver, other body
WINDOW = (-120.0, 240.0)


@pytest.fixture(scope="module")
def organs(data) -> Volume:
    """A part of the real abdomen's label map, 3 mm, with a box of body (118) around its organs."""
    labels = Volume.from_sitk(read_labels(data / "abd_ts_example_seg.nii.gz").to_sitk()[10:106, 8:80, 64:112], "organs")
    voxels = labels.voxels.copy()
    inside = np.zeros(voxels.shape, bool)
    inside[:, 4:-4, 4:-4] = True
    voxels[inside & (voxels == 0)] = 118
    return labels.with_voxels(np.where(inside, voxels, 0).astype(np.uint8))


@pytest.fixture(scope="module")
def boxes() -> Volume:
    """Two organs in a body, 40 × 30 × 20 voxels of 3 × 2 × 1.5 mm, its axes running down, left and front."""
    voxels = np.zeros((20, 30, 40), np.uint8)
    voxels[1:-1, 2:-2, 2:-2] = 118
    voxels[4:16, 5:25, 5:18] = 5
    voxels[4:16, 5:25, 22:35] = 1
    return Volume(
        voxels, (3.0, 2.0, 1.5), (10.0, -20.0, 30.0), (0.0, 1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0, 0.0), "boxes"
    )


@pytest.fixture
def model():
    return exact_model(Prior(MEANS, WINDOW, other=20.0), patch=24)


def check_organs(result: Volume, labels: Volume, depth: int, tolerance: float) -> None:
    for label, mean in MEANS.items():
        inner = ndimage.binary_erosion(labels.voxels == label, iterations=depth)
        if inner.sum() > 100:
            assert result.voxels[inner].mean() == pytest.approx(mean, abs=tolerance), label


@pytest.mark.parametrize(
    ("options", "depth", "tolerance"),
    [
        ({"quality": "balanced"}, 1, 0.5),
        ({"levels": "image,double,patch"}, 1, 0.5),
        ({"levels": "patch", "sampler": "ddim", "steps": 5}, 1, 0.5),
        ({"quality": "paper", "steps": 20}, 1, 0.5),
        ({"quality": "fast"}, 4, 3.0),  # 12 mm voxels: the organs' borders are wide
    ],
)
def test_every_organ_of_a_real_label_map_gets_its_hu(organs, model, options, depth, tolerance):
    result = synthesize(organs, model, region="abdomen", **options)
    volume = result.volumes[0]
    check_organs(volume, organs, depth, tolerance)
    assert volume.voxels.dtype == np.int16 and volume.same_grid(organs)
    assert (volume.voxels[organs.voxels == 0] == -1000).all() and volume.voxels[organs.voxels > 0].min() >= -120
    assert model.network.calls == result.facts.network_evaluations
    assert result.facts.network_evaluations == sum(
        level.windows * len(level.timesteps) for level in result.facts.levels
    )


def test_the_samples_have_the_distribution_that_the_network_knows(boxes):
    """Mean and standard deviation of the liver's HU by each sampler; the ancestral one needs more steps for its σ."""
    model = exact_model(Prior(MEANS, WINDOW, deviation_hu=25.0), patch=24)
    inner = ndimage.binary_erosion(boxes.voxels == 5)
    ways = [
        ("patch", "ancestral", 250),
        ("patch", "ddim", 60),
        ("patch", "dpm-solver", 60),
        ("image,patch", "ddim", 60),
    ]
    for levels, sampler, steps in ways:
        result = synthesize(boxes, model, region="abdomen", levels=levels, sampler=sampler, steps=steps)
        values = result.volumes[0].voxels[inner]
        assert values.mean() == pytest.approx(60, abs=4 * 25 / math.sqrt(inner.sum())), (levels, sampler)
        assert values.std() == pytest.approx(25, rel=0.1), (levels, sampler)


def test_turned_and_anisotropic_label_maps_keep_their_grid(boxes, model):
    """The geometry of the file comes back, and each organ lies where its label is."""
    result = synthesize(boxes, model, region="abdomen")
    volume = result.volumes[0]
    assert (volume.spacing, volume.origin, volume.direction) == (boxes.spacing, boxes.origin, boxes.direction)
    check_organs(volume, boxes, 1, 1.0)
    double = result.facts.levels[1]
    assert double.spacing_mm == [2.0, 2.0, 3.0]  # RAS order; 3 mm slices stay 3 mm
    turned = Volume.from_sitk(sitk.DICOMOrient(boxes.to_sitk(), "LPS"), "turned")
    same = synthesize(turned, model, region="abdomen").volumes[0]
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(boxes.direction)
    assert np.array_equal(Volume.from_sitk(sitk.DICOMOrient(same.to_sitk(), code)).voxels, volume.voxels)


def test_seeds_and_samples(boxes, model):
    """The same seed gives the same voxels; sample n of a seed is sample 1 of seed + n − 1; others differ."""
    several = synthesize(boxes, model, region="abdomen", quality="fast", samples=3, seed=4)
    assert several.facts.seeds == [4, 5, 6] and len(several.outputs()["output"]) == 3
    for number in (0, 2):
        one = synthesize(boxes, model, region="abdomen", quality="fast", seed=4 + number)
        assert np.array_equal(one.volumes[0].voxels, several.volumes[number].voxels)
    assert not np.array_equal(several.volumes[0].voxels, several.volumes[1].voxels)


class Disagreeing(ExactNetwork):
    """Every window's x_0 is off by an amount of its own, up to 36 HU: it depends on the window's place along x."""

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        epsilon = super().forward(x_t, t, position, anatomy, region)
        alpha = self.alpha_bar[t].view(-1, 1, 1, 1, 1)
        offset = 0.2 * torch.sign(position[:, :1].mean(dim=(2, 3, 4), keepdim=True))  # of sin πp_x: left or right half
        return epsilon - (alpha / (1 - alpha)).sqrt().float() * offset


def test_windows_leave_no_seam():
    """Two windows that disagree by 72 HU: side by side a step of 72 HU; overlapping, no step at either window's end
    and, between, none larger than the blend's own slope.
    """
    labels = Volume(np.full((12, 12, 28), 5, np.uint8), source="slab")

    def steps_along_x(patch_x, overlap):
        own = {"tasks": {"synthesize": {"paper": {"overlap": overlap, "tile_weights": "fade"}}}}
        model = exact_model(Prior(MEANS, WINDOW, deviation_hu=0.1), patch=patch_x, config=own, network=Disagreeing)
        result = synthesize(labels, model, region="abdomen", quality="paper", steps=8, sampler="ddim")
        hu = result.volumes[0].voxels[:, :, ::-1].astype(float)  # RAS: x runs the other way
        assert result.facts.levels[0].windows == 2
        return np.abs(np.diff(hu.mean(axis=(0, 1))))

    tiled = steps_along_x(14, 0.0)
    assert tiled[13] == pytest.approx(72, abs=1) and np.delete(tiled, 13).max() < 1
    blended = steps_along_x(18, 0.4)  # the windows 0 … 17 and 10 … 27
    assert blended.sum() == pytest.approx(72, abs=1)
    assert blended[[9, 17]].max() < 3  # where a window begins and ends
    assert blended.max() < 72 / 4


class SharedOffset(ExactNetwork):
    """The exact answer where all voxels of a CT share an offset of σ = 36 HU, of which a window sees its own part."""

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        self.calls += len(x_t)
        alpha = self.alpha_bar[t].view(-1, 1, 1, 1, 1)
        mean, rest = self.means[5].double(), alpha * self.variance + 1 - alpha
        away = x_t.double() - alpha.sqrt() * mean
        events = alpha.sqrt() * away.sum(dim=(1, 2, 3, 4), keepdim=True) / rest
        offset = events / (1 / 0.2**2 + x_t[0].numel() * alpha / rest)
        x0 = mean + offset + alpha.sqrt() * self.variance / rest * (away - alpha.sqrt() * offset)
        return ((x_t - alpha.sqrt() * x0) / (1 - alpha).sqrt()).float()


def test_the_image_level_first_makes_a_long_volume_agree_with_itself():
    """Of 128 mm with windows of 16 mm: patches alone drift along the volume, after the image level they do not."""
    labels = Volume(np.full((16, 16, 128), 5, np.uint8), source="slab")

    def drift(levels):
        along = []
        for seed in range(3):
            model = exact_model(Prior(MEANS, WINDOW), patch=16, network=SharedOffset)
            options = {"region": "abdomen", "levels": levels, "sampler": "ddim", "steps": 20, "seed": seed}
            hu = synthesize(labels, model, **options).volumes[0].voxels
            along.append(hu.reshape(16, 16, 8, 16).mean(axis=(0, 1, 3)).std())
        return np.mean(along)

    assert drift("patch") > 3 * drift("image,patch")


def test_organs_without_a_body_get_one_and_the_facts_say_so(organs, model):
    alone = organs.with_voxels(np.where(organs.voxels == 118, 0, organs.voxels).astype(np.uint8))
    result = synthesize(alone, model, region="abdomen")
    assert result.facts.body == "estimated: the organs' hull and 15 mm"
    volume = result.volumes[0].voxels
    around = ndimage.binary_dilation(alone.voxels == 5, iterations=3) & (alone.voxels == 0)
    assert (volume[around] > -1000).mean() > 0.9 and (volume == -1000).mean() > 0.05
    assert synthesize(organs, model, quality="fast").facts.body == "given"


def test_levels_that_add_nothing_are_left_out(boxes, model):
    """120 × 60 × 30 mm: 24³ samples are coarser than 2 mm, or the image's own, along an axis; 64³ are not."""
    fine = exact_model(Prior(MEANS, WINDOW), patch=64)
    assert [level.level for level in synthesize(boxes, fine, region="abdomen", steps=2).facts.levels] == ["image"]
    every = synthesize(boxes, model, region="abdomen", levels="image,double,patch", steps=2).facts.levels
    assert [level.level for level in every] == ["image", "double", "patch"]


def test_steps_of_the_levels(boxes, model):
    """From 990 to 0 first, then from 500 to 0 in the same density; a model's config may say otherwise."""
    levels = synthesize(boxes, model, region="abdomen", steps=10).facts.levels
    assert levels[0].timesteps == [990, 880, 770, 660, 550, 440, 330, 220, 110, 0]
    assert levels[1].timesteps == [500, 375, 250, 125, 0]
    own = replace(model, config={"tasks": {"synthesize": {"balanced": {"restart": 300, "sampler": "ddim"}}}})
    result = synthesize(boxes, own, region="abdomen", steps=10)
    assert result.facts.levels[1].timesteps[0] == 300 and result.facts.regions[0].sampler == "ddim"
    with pytest.raises(InputError, match="settings for synthesize that this version does not know"):
        synthesize(boxes, replace(model, config={"tasks": {"synthesize": {"balanced": {"restarts": 3}}}}))


PAINTED = {"painted": True, "t_start": 200, "steps": 4}


def painting(model, levels=("patch",)):
    """The model with a config that begins from the painted label map, in each quality."""
    own = {quality: PAINTED | {"levels": list(levels)} for quality in ("fast", "balanced")}
    return replace(model, config={"tasks": {"synthesize": own}})


class Recording(ExactNetwork):
    """It keeps every x_t that it is asked about."""

    def forward(self, x_t, t, position, anatomy, region, residuals=None):
        self.asked = [*getattr(self, "asked", []), (int(t[0]), x_t.clone())]
        return super().forward(x_t, t, position, anatomy, region)


def test_the_reverse_process_begins_from_the_paint_and_noise():
    """One window at 1 mm: the network is first asked about √ᾱ_200·paint + √(1 − ᾱ_200)·z, z the seed's own."""
    labels = np.full((16, 16, 16), 5, np.uint8)
    labels[:, :, 8:] = 1
    model = painting(exact_model(Prior(MEANS, WINDOW), patch=16, network=Recording))
    result = synthesize(Volume(labels, source="organs"), model, region="abdomen", seed=3)
    t, x_t = model.network.asked[0]
    liver, spleen = ((hu + 120) / 180 - 1 for hu in (52, 46))
    z = torch.randn((16, 16, 16), generator=torch.Generator().manual_seed(3))
    alpha = float(model.schedule.alpha_bar[200])
    rest = (x_t[0, 0] - math.sqrt(1 - alpha) * z) / math.sqrt(alpha)
    # RAS order: x runs the other way, so that the spleen comes first
    assert t == 200 and rest[8, 8, [0, 15]].tolist() == pytest.approx([spleen, liver], abs=1e-3)
    assert [t for t, _ in model.network.asked] == result.facts.levels[0].timesteps == [200, 133, 67, 0]
    assert result.facts.begun_from == "the label map in usual HU and noise, t = 200"
    assert synthesize(Volume(labels), exact_model(Prior(MEANS, WINDOW), 16), region="abdomen").facts.begun_from == (
        "noise"
    )


def test_what_lies_beyond_the_window_keeps_the_painted_hu_and_seeds_differ(organs):
    """Lungs in an abdomen, whose window ends at −120 HU; the network's own HU decide within the window."""
    labels = np.where(organs.voxels == 1, 14, organs.voxels).astype(np.uint8)  # a lung in place of the spleen
    model = painting(exact_model(Prior(MEANS | {14: -120.0}, WINDOW, other=20.0), patch=24), ("double",))
    one, other = (
        synthesize(organs.with_voxels(labels), model, region="abdomen", seed=seed).volumes[0].voxels for seed in (1, 2)
    )
    lung = ndimage.binary_erosion(labels == 14, iterations=2)
    liver = ndimage.binary_erosion(labels == 5, iterations=1)
    assert one[lung].mean() == pytest.approx(-830, abs=5) and (one[labels == 0] == -1000).all()
    assert one[liver].mean() == pytest.approx(MEANS[5], abs=2)
    assert 0.5 < np.abs(one[liver].astype(int) - other[liver]).mean() < 20


def test_a_further_level_never_has_more_noise_than_the_first(boxes, model):
    levels = synthesize(boxes, painting(model, ("image", "double")), region="abdomen").facts.levels
    assert levels[0].timesteps == levels[1].timesteps == [200, 133, 67, 0]


def test_progress_grows_by_the_windows_of_each_level(boxes, model):
    events = []
    result = synthesize(boxes, model, region="abdomen", steps=4, samples=2, progress=events.append)
    shares = [event.fraction for event in events if event.steps > 1]
    assert shares == sorted(shares) and shares[-1] == 1.0
    first, second = (level.windows for level in result.facts.levels)
    assert first == 1 < second
    after_image_level = next(event for event in events if event.steps > 1 and event.step == 4)
    steps = [len(level.timesteps) for level in result.facts.levels]
    assert after_image_level.fraction == pytest.approx(4 / (2 * (steps[0] + steps[1] * second)))

    def stop(event):
        if event.window == 2:
            raise Cancelled("Cancelled.")

    model.network.calls = 0
    with pytest.raises(Cancelled):
        synthesize(boxes, model, region="abdomen", steps=4, progress=stop)
    assert model.network.calls == 4 + 2


def test_previews_lie_where_the_result_will(boxes, model):
    """At every level the liver's center of mass in a preview is that of its label in space, to half a voxel."""
    seen = {}

    def look(event):
        if event.preview is not None:
            volume = event.preview()
            seen[volume.voxels.shape] = volume

    facts = synthesize(boxes, model, region="abdomen", steps=5, progress=look).facts
    assert {shape[::-1] for shape in seen} == {tuple(level.size) for level in facts.levels}

    def center(volume, mask):
        image = volume.with_voxels(mask).to_sitk()
        return np.array(image.TransformContinuousIndexToPhysicalPoint(np.argwhere(mask).mean(axis=0)[::-1].tolist()))

    truth = center(boxes, (boxes.voxels == 5).astype(np.uint8))
    for volume in seen.values():
        liver = (np.abs(volume.voxels - MEANS[5]) < 20).astype(np.uint8)
        assert np.abs(center(volume, liver) - truth).max() < 0.5 * max(volume.spacing)


@pytest.mark.parametrize(
    ("voxels", "sentence"),
    [
        (np.zeros((8, 8, 8), np.uint8), "holds no labels"),
        (np.full((8, 8, 8), 0.5, np.float32), "holds no labels"),
        (np.full((8, 8, 8), 122, np.uint8), "holds labels from 122 to 122"),
        (np.full((8, 8, 8), 118, np.uint8), "no organ that indicates the region: give it with --region"),
    ],
)
def test_label_maps_that_make_no_ct(voxels, sentence, model):
    with pytest.raises(InputError, match=sentence):
        synthesize(Volume(voxels, source="map.nii.gz"), model)
    assert model.network.calls == 0


def test_looking_tells_what_a_run_does(boxes, model):
    asked = {"samples": 2, "quality": "balanced", "steps": 6}
    found = look(boxes, model, **asked)
    calls = model.network.calls
    facts = synthesize(boxes, model, **asked).facts
    assert found["network_evaluations"] == facts.network_evaluations == model.network.calls - calls
    assert found["region"] == facts.region == "abdomen" and found["seconds_each"] > 0


def test_looking_refuses_an_empty_label_map(boxes, model):
    with pytest.raises(InputError, match="holds no labels"):
        look(boxes.with_voxels(np.zeros_like(boxes.voxels)), model)
