"""Refiners: their inputs, the use of their output, and how they are stored in a model folder."""

import math

import pytest
import torch
from tiny_model import save_tiny_model, save_tiny_refiner

from MedDiffFMLib.diffusion.slice_operators import block_mean, cubic_slices, replicate
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.components import REFINERS
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.refiner_folder import load_refiner
from MedDiffFMLib.networks.refiner import Refiner
from MedDiffFMLib.refinement.low_dose import LOW_DOSE, LowDoseInputs
from MedDiffFMLib.refinement.thick_slices import SCALE, THICK_SLICES, ThickSliceInputs


def _image(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape))) * 2 - 1


def _constant(config, value: float) -> Refiner:
    """A refiner that says `value` everywhere."""
    refiner = Refiner(config)
    torch.nn.init.constant_(refiner.leave.bias, value)
    return refiner


def test_what_is_told_of_noise():
    """By hand: three slices of one pixel, σ_n = .12, of which log(σ_n/.12) is 0. b = (.2, .2, .5),
    y − b = (.1, −.2, 0), x̂ − N = (.4, 0, −.2).
    """
    column = lambda *values: torch.tensor(values).reshape(3, 1, 1)  # noqa: E731
    noisy = LowDoseInputs(column(0.3, 0.0, 0.5), column(0.4, 0.2, 0.4), column(0.0, 0.2, 0.6), 0.12)
    features = noisy.features(torch.arange(3))[:, :, 0, 0] * 0.12
    middle = [-0.2, 0.0, 0.0, 0.3, 0.1, 0.0, 0.4, -0.2, 0.4 * 0.12, 0.0]
    first = [0.1, 0.4, 0.0, 0.0, 0.1, -0.2, 0.4, 0.0, 0.4 * 0.12, 0.0]  # below it stands its copy
    assert torch.allclose(features[1], torch.tensor(middle), atol=1e-6)
    assert torch.allclose(features[0], torch.tensor(first), atol=1e-6)
    louder = LowDoseInputs(noisy.y, noisy.of_model, noisy.nlm, 0.24)
    assert torch.allclose(louder.features(torch.arange(3))[:, 9], torch.full((3, 1, 1), math.log(2)))


def test_what_becomes_of_an_answer_about_noise():
    """x̂_0 = b + σ_n·f; a new refiner says 0."""
    noisy = LowDoseInputs(_image(9, 6, 7), _image(9, 7, 6).transpose(1, 2), _image(9, 6, 7), 0.1)
    assert torch.equal(noisy.apply_refiner(Refiner(LOW_DOSE)), noisy.base)
    assert torch.allclose(noisy.apply_refiner(_constant(LOW_DOSE, 0.5)), noisy.base + 0.05)


def test_what_is_told_of_thick_slices():
    """By hand: thick slices 0, .4, .8 of factor 2, and a model that says .2 more than the spline s in the first half of
    each, .2 less in the second, so that b is s ± .1. The third thin slice is the first half of the second thick one.
    """
    thick = torch.tensor([0.0, 0.4, 0.8]).reshape(3, 1, 1)
    s = cubic_slices(thick, 2)
    features = ThickSliceInputs(thick, s + 0.2 * torch.tensor([1.0, -1] * 3).reshape(6, 1, 1), 2).features(
        torch.arange(6)
    )[:, :, 0, 0]
    b = s.flatten() + 0.1 * torch.tensor([1.0, -1] * 3)
    third = [0.2, 0.4 - b[2], -0.4, 0.4, 0.0, 0.0, b[1] - b[2], b[3] - b[2]]
    assert torch.allclose(features[2, :8] / 8, torch.tensor(third), atol=1e-6)
    assert torch.allclose(features[2, 8:], torch.tensor([b[2], -0.5, -0.5, math.log(0.4)]), atol=1e-6)
    assert torch.allclose(features[3, 8:10], torch.tensor([b[3], 0.5]), atol=1e-6)
    seven = ThickSliceInputs(
        _image(7, 1, 1), _image(14, 1, 1), 2
    )  # of the fourth thick slice: the rises of those two away
    far = seven.features(torch.tensor([6]))[0, 4:6, 0, 0] / 8
    assert torch.allclose(far, (seven.thick[[1, 5]] - seven.thick[[2, 4]]).flatten(), atol=1e-6)


def test_an_answer_about_slices_keeps_the_block_means(tmp_path):
    """Whatever f says and whatever the model's estimate is; what f says the same of all slices of a block is lost."""
    thick = ThickSliceInputs(_image(4, 9, 10), _image(20, 9, 10), 5)
    refiner = save_tiny_refiner(save_tiny_model(tmp_path / "tiny"), THICK_SLICES, std=1.0)
    made = thick.apply_refiner(refiner)
    assert torch.allclose(block_mean(made, 5), thick.thick, atol=1e-5)
    assert (made - thick.base).abs().mean() > 0.1 * SCALE
    assert torch.allclose(thick.apply_refiner(_constant(THICK_SLICES, 0.7)), thick.base, atol=1e-6)
    perfect = ThickSliceInputs(thick.thick, replicate(thick.thick, 5), 5)  # its means are right
    assert torch.allclose(perfect.base, (perfect.of_model + perfect.spline) / 2)


def test_the_estimate_that_is_refined_is_exact_whatever_the_network_computes_in():
    """Rounded to bfloat16 it would be off by several HU, and so would its block means."""
    exact, thick = (ThickSliceInputs(_image(4, 9, 10), _image(20, 9, 10), 5) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(thick.base, exact.base)


def test_slices_do_not_depend_on_those_computed_with_them(tmp_path):
    """Twenty slices at once, in slabs of 8, and the middle ones alone with their neighbors."""
    refiner = save_tiny_refiner(save_tiny_model(tmp_path / "tiny"), LOW_DOSE)
    images = [_image(20, 8, 9), _image(20, 9, 8).transpose(1, 2), _image(20, 8, 9).flip(0)]
    whole = LowDoseInputs(*images, 0.1).apply_refiner(refiner)
    part = LowDoseInputs(*(image[5:13] for image in images), 0.1).apply_refiner(refiner)
    assert torch.allclose(whole[6:12], part[1:-1], atol=1e-5)
    assert not torch.allclose(whole[5], part[0], atol=1e-5)  # its lower neighbor is missing there


def test_a_refiner_comes_back_from_its_folder(tmp_path):
    """Of odd sizes too; by its kind, with its checksum, and with no other weights than it was made for."""
    folder = save_tiny_model(tmp_path / "tiny")
    refiner = save_tiny_refiner(folder, LOW_DOSE)
    loaded, features = load_refiner(load_model(folder, "cpu"), "low-dose"), _image(3, 10, 7, 5)
    assert REFINERS.names(folder) == ["low-dose"]
    assert torch.allclose(loaded(features), refiner(features), atol=1e-6) and loaded(features).shape == (3, 7, 5)
    with pytest.raises(InputError, match=r"no refiner 'thick-slices' \(it has low-dose\)"):
        load_refiner(load_model(folder, "cpu"), "thick-slices")
    config = folder / "refiners" / "low-dose" / "config.json"
    text = config.read_text(encoding="utf-8")
    for old, new, words in (
        ('"inputs": 10', '"inputs": 11', "does not fit"),
        ('"base_sha256": "', '"base_sha256": "0', "trained for other weights"),
        ('"sha256": "', '"sha256": "0', "does not have the checksum"),
    ):
        config.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=words):
            load_refiner(load_model(folder, "cpu"), "low-dose")
    (folder / "refiners" / ".half.part").mkdir()  # left by a save that was killed
    (folder / "refiners" / ".half.part" / "config.json").write_text(text, encoding="utf-8")
    assert REFINERS.names(folder) == ["low-dose"]


def test_averaged_over_mirror_images_it_knows_no_left_and_no_front(tmp_path):
    """Of four of them: the answer about a mirrored image is the mirror image of the answer; of one it is not. Of eight
    this holds for an image whose x and y are exchanged, too.
    """
    refiner = save_tiny_refiner(save_tiny_model(tmp_path / "tiny"), LOW_DOSE)
    images = [_image(3, 8, 12), _image(3, 12, 8).transpose(1, 2), _image(3, 8, 12).flip(0)]
    for axes in ((-1,), (-2,), (-2, -1)):
        plain, mirrored = (LowDoseInputs(*(image.flip(flips) for image in images), 0.1) for flips in ((), axes))
        assert torch.allclose(mirrored.apply_refiner(refiner, 4), plain.apply_refiner(refiner, 4).flip(axes), atol=1e-5)
        assert not torch.allclose(mirrored.apply_refiner(refiner), plain.apply_refiner(refiner).flip(axes), atol=1e-3)
    plain, turned = (
        LowDoseInputs(*(image.mT if exchanged else image for image in images), 0.1) for exchanged in (False, True)
    )
    assert torch.allclose(turned.apply_refiner(refiner, 8), plain.apply_refiner(refiner, 8).mT, atol=1e-5)
    assert torch.equal(plain.apply_refiner(refiner, 16), plain.apply_refiner(refiner, 8))  # there are no more
    assert not torch.allclose(turned.apply_refiner(refiner, 4), plain.apply_refiner(refiner, 4).mT, atol=1e-3)


def test_an_answer_may_sharpen_but_not_move_a_tissue():
    """A change that is the same everywhere in the body is taken back whole, at the body's border too; one voxel's
    change stays but for its share in its surroundings, 1/(2π·5·4) of 5 × 4 voxels; what an answer says of air
    does not count.
    """
    body = torch.zeros(2, 60, 60, dtype=torch.bool)
    body[:, 10:50, 10:50] = True
    noisy = LowDoseInputs(*(_image(2, 60, 60) for _ in range(3)), 0.1)
    moved = noisy.base + 0.05 + 3.0 * ~body
    assert torch.allclose(noisy.restore_local_means(moved, body, (2.0, 2.5))[body], noisy.base[body], atol=1e-5)
    dot = noisy.base.clone()
    dot[0, 30, 30] += 1.0
    change = noisy.restore_local_means(dot, body, (2.0, 2.5)) - noisy.base
    assert change[0, 30, 30].item() == pytest.approx(1 - 1 / (2 * math.pi * 20), abs=1e-3)
    assert change[0, 30, 31].item() == pytest.approx(-math.exp(-0.5 / 16) / (2 * math.pi * 20), abs=1e-3)
    assert change[1].abs().max() < 1e-6
