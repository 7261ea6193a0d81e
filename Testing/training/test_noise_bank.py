"""The noise bank: what is simulated for it, and what is drawn from it for a crop."""

import itertools
import json
import time

import numpy as np
import pytest
import SimpleITK as sitk
import typer
from small_store import add_case

pytest.importorskip("astra", reason="astra-toolbox is not installed (extra 'training')")

from MedDiffFMLib.errors import InputError
from MedDiffFMTraining.commands import register
from MedDiffFMTraining.data import noise_bank as drawing
from MedDiffFMTraining.data.bank_case import Draw, bank_seed, chosen_slices, draw_settings, make_bank_case, simulate
from MedDiffFMTraining.data.noise_bank import NoiseBank, mirrored, scaled
from MedDiffFMTraining.data.noise_texture import (
    Kernel,
    Streaks,
    edge_map,
    filtered,
    frequencies,
    iterative,
    log_strength,
    overlapped,
    pink_floor,
)
from MedDiffFMTraining.data.quanta import log_noise
from MedDiffFMTraining.data.scanner import Scanner
from MedDiffFMTraining.data.store import CaseFacts, open_store

SOFT = np.full((8, 64, 64), 40.0, np.float32)
SPACING = (3.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def folder(train_cases, tmp_path_factory):
    """A bank of one case, 12 slices in two doses."""
    out = tmp_path_factory.mktemp("bank")
    for draw in (0, 1):
        assert make_bank_case(train_cases[0], out, draw, 12) is not None
    return out


@pytest.fixture(scope="module")
def bank(folder):
    return NoiseBank(folder)


def _correlation(a, b) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_a_softer_kernel_is_a_filter_of_the_sharp_noise():
    """FBP is linear: ASTRA's "hann" image is its "ram-lak" image times cos²(πf/2f_N), f_N = half a cycle a ray: with
    rays half a pixel apart 1 cycle a pixel. Noise of the rays ends at .4 cycles a pixel, so that nothing is aliased.
    """
    rng = np.random.default_rng(0)
    sharp, soft, cosine = (Scanner((96, 96), 1.0, kernel, 0.5) for kernel in ("ram-lak", "hann", "cosine"))
    rays = np.fft.rfft(rng.standard_normal((360, sharp.detectors)))
    rays[:, np.fft.rfftfreq(sharp.detectors, d=0.5) > 0.4] = 0
    rays = np.fft.irfft(rays, n=sharp.detectors).astype(np.float32)
    f, _ = frequencies(96, 96)
    image = sharp.reconstruct(rays)
    inner = (slice(16, 80), slice(16, 80))
    for scanner, power in ((soft, 2.0), (cosine, 1.0)):
        truth = scanner.reconstruct(rays)[inner]
        made = filtered(image[None], Kernel(1.0, power).amplitude(f))[0][inner]
        assert _correlation(made, truth) > 0.995
        assert made.std() == pytest.approx(truth.std(), rel=0.02)


def test_factors_of_the_fourier_plane():
    """cos(π·.25/2·.5) = .7071, with power 2 .5; a bump of gain 1 doubles at its peak; √((.1 + .1)/.1) = 1.4142."""
    f = np.array([0.0, 0.25, 0.5, 0.7])
    assert Kernel(0.5, 2.0).amplitude(f) == pytest.approx([1, 0.5, 0, 0], abs=1e-6)
    assert Kernel(0.5, 2.0, gain=1.0, peak=0.25).amplitude(f)[1] == pytest.approx(1.0)
    assert pink_floor(np.array([0.0, 0.1, 0.4]), 0.1) == pytest.approx([1.4142, 1.4142, 1.1180], rel=1e-4)
    streaks = Streaks(angle=0.0, width=np.radians(20), variance=4.0)
    directions = np.radians([0.0, 9.0, 11.0, 90.0, 171.0, -9.0])
    assert streaks.amplitude(directions).tolist() == [2, 2, 1, 1, 2, 2]


def test_streaks_lie_along_the_rays_of_the_starved_views():
    """Views that see the Fourier plane's fx axis integrate along y: noise of theirs is drawn out along y."""
    white = np.random.default_rng(0).standard_normal((20, 96, 96), dtype=np.float32)
    f, direction = frequencies(96, 96)
    noise = filtered(white, Kernel(0.5, 1.0).amplitude(f) * Streaks(0.0, np.radians(15), 10.0).amplitude(direction))
    assert _correlation(noise[:, 4:], noise[:, :-4]) > _correlation(noise[:, :, 4:], noise[:, :, :-4]) + 0.1


def test_overlapping_slices_share_noise():
    """a = .5: neighbors correlate by 2a/(1 + 2a²) = .667, the next but one by a²/(1 + 2a²) = .167; sd stays 1."""
    white = np.random.default_rng(0).standard_normal((40, 64, 64), dtype=np.float32)
    mixed = overlapped(white, 0.5)
    assert len(mixed) == 38 and mixed.std() == pytest.approx(1, rel=0.01)
    assert _correlation(mixed[1:], mixed[:-1]) == pytest.approx(0.667, abs=0.01)
    assert _correlation(mixed[2:], mixed[:-2]) == pytest.approx(0.167, abs=0.01)


def test_iterative_reconstruction_spares_edges():
    """Even anatomy keeps .4 of the noise, a bone's edge nearly all."""
    hu = SOFT.copy()
    hu[:, :, 32:] = 1000
    noise = np.ones(hu.shape, np.float32)
    left = iterative(noise, hu)
    assert left[:, :, :20] == pytest.approx(0.4) and left[:, :, 31:33].min() > 0.9
    assert edge_map(hu).max() < 1


def test_strength_follows_the_density_around():
    """Water has density 1, air 0: .38 apart; near a border in between."""
    hu = np.zeros((1, 128, 128), np.float32)
    hu[:, :, 64:] = -1000
    strength = log_strength(hu, 1.0)
    assert strength[0, 64, 4] == pytest.approx(0.38, abs=0.01) and strength[0, 64, 124] == pytest.approx(0, abs=0.01)
    assert 0.1 < strength[0, 64, 64] < 0.28 and strength.shape == hu.shape


def test_the_strength_of_a_draw_is_what_was_asked_for(bank):
    """Over soft tissue; where there is none over the body; in air over all."""
    rng = np.random.default_rng(0)
    mixed = SOFT.copy()
    mixed[:, :20] = -800
    for hu, region in ((mixed, mixed == 40), (mixed - 100, mixed > -2000), (SOFT - 1040, SOFT > 0)):
        if region.all() and hu.max() > -950:
            hu = np.where(hu == -60, 400.0, hu).astype(np.float32)  # bone and lung, no soft tissue
        noise = bank.draw(rng, hu, SPACING, 25.0)
        assert noise.dtype == np.float32 and noise.shape == hu.shape
        assert noise[region].std() == pytest.approx(25, rel=1e-3)


def test_every_draw_is_another_and_a_seed_repeats_it(bank):
    first, again = (bank.draw(np.random.default_rng(3), SOFT, SPACING, 30.0) for _ in range(2))
    other = bank.draw(np.random.default_rng(4), SOFT, SPACING, 30.0)
    assert np.array_equal(first, again) and abs(_correlation(first, other)) < 0.2


def test_a_crop_larger_than_the_case_is_filled(bank):
    """30 slices of 200 × 260 from 12 of about 100 × 120; adjacent slices are never the same."""
    hu = np.full((30, 200, 260), 40.0, np.float32)
    for seed in range(6):
        noise = bank.draw(np.random.default_rng(seed), hu, SPACING, 30.0)
        assert noise.shape == hu.shape and np.isfinite(noise).all()
        assert max(_correlation(a, b) for a, b in itertools.pairwise(noise)) < 0.8
    assert mirrored(np.arange(-3, 6), 3).tolist() == [2, 1, 0, 0, 1, 2, 2, 1, 0]


def test_slices_share_no_noise_unless_they_overlap(bank, monkeypatch):
    monkeypatch.setattr(drawing, "OVERLAPPING", 0.0)
    noise = [bank.draw(np.random.default_rng(seed), SOFT, SPACING, 30.0) for seed in range(8)]
    assert abs(np.mean([_correlation(n[1:], n[:-1]) for n in noise])) < 0.03


def test_a_case_is_simulated_once_and_always_the_same(train_cases, folder, tmp_path):
    assert make_bank_case(train_cases[0], folder, 0, 12) is None
    make_bank_case(train_cases[0], tmp_path, 0, 12)
    (again,) = tmp_path.iterdir()
    name = again.name
    assert np.array_equal(np.load(again / "noise.npy"), np.load(folder / name / "noise.npy"))
    facts = [json.loads((folder / f"abd_ts_example-{draw}" / "facts.json").read_text()) for draw in (0, 1)]
    assert facts[0]["quanta"] != facts[1]["quanta"] and not list(folder.glob(".*"))
    noise = np.load(folder / name / "noise.npy")
    assert noise.dtype == np.float16 and 0.7 < noise.astype(np.float32).std() < 1.3


def test_dose_changes_more_than_the_strength():
    """A body 420 mm wide: at 2e4 quanta rays along it starve, at 2e5 none does, and noise grows less than √10 ×."""
    y, x = np.mgrid[:144, :240] - np.array([71.5, 119.5])[:, None, None]
    hu = np.where((y / 60) ** 2 + (x / 105) ** 2 <= 1, 0, -1000).astype(np.float32)[None]
    settings = [Draw("a", (2.0, 2.0, 2.0), n0, 1.6, 400.0, 0.0) for n0 in (2e4, 2e5)]
    (low, starved), (high, none) = (simulate(hu, one) for one in settings)
    assert starved > 0.005 and none == 0
    middle, top = (slice(None), slice(62, 82), slice(90, 150)), (slice(None), slice(14, 24), slice(100, 140))
    ratios = [low[place].std() / high[place].std() for place in (middle, top)]
    assert ratios[1] < ratios[0], "the thick paths lose more than the rim"


def test_seeds_are_no_evaluations(train_cases):
    """The bank's random numbers come from the case's name and a space of their own."""
    numbers = bank_seed("chest", 0, 0).standard_normal(1000)
    for seed in range(3):
        for z in range(3):
            assert abs(_correlation(numbers, np.random.default_rng([seed, z]).standard_normal(1000))) < 0.15
    assert not np.array_equal(numbers, bank_seed("chest", 1, 0).standard_normal(1000))
    assert not np.array_equal(numbers, bank_seed("chess", 0, 0).standard_normal(1000))
    doses = {draw_settings(train_cases[0], draw).quanta for draw in range(3)}
    assert doses == {2e4, 6e4, 2e5}


def test_slices_of_a_bank_are_about_five_mm_apart():
    """24 of 200 slices of 1.25 mm: every fourth; of 40, every one; of 10 all."""
    settings = Draw("a", (1.25, 1.0, 1.0), 2e4, 1.0, 100.0, 0.0)
    assert [chosen_slices(settings, 0, depth, 24).step for depth in (200, 40, 10)] == [4, 1, 1]
    found = np.arange(200)[chosen_slices(settings, 0, 200, 24)]
    assert len(found) == 24 and len(np.arange(10)[chosen_slices(settings, 0, 10, 24)]) == 10


def test_a_draw_costs_little(bank):
    """Well under 5 ms a slice of 96²."""
    hu, rng = np.full((10, 96, 96), 40.0, np.float32), np.random.default_rng(0)
    bank.draw(rng, hu, SPACING, 30.0)
    started = time.process_time()
    for _ in range(10):
        bank.draw(rng, hu, SPACING, 30.0)
    assert (time.process_time() - started) / 100 < 0.005


def test_scaling_is_one_factor():
    noise = np.random.default_rng(0).normal(size=SOFT.shape).astype(np.float32)
    made = scaled(noise, SOFT, 12.0)
    assert made / noise == pytest.approx(np.full(noise.shape, 12 / noise.std()), rel=1e-4)


def test_few_counts_reach_the_image(train_cases):
    """The noise of a ray with three quanta is that of electronics: |E ln n − ln n| stays below ln 40."""
    assert np.abs(log_noise(np.full(1000, 3.0), np.random.default_rng(0).standard_normal(1000))).max() < np.log(60)


def _command(*arguments) -> None:
    app = typer.Typer()
    register(app)
    app(args=[str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_makes_a_bank_of_training_cases(two_cases, tmp_path, capfd):
    options = ("--slices", 4, "--draws", 1)
    _command("train", "noise-bank", two_cases, tmp_path / "bank", *options)
    assert "abd_ts_example-0: N₀" in capfd.readouterr().out
    _command("train", "noise-bank", two_cases, tmp_path / "bank", *options)
    assert "is there" in capfd.readouterr().out
    assert [one.facts.case for one in NoiseBank(tmp_path / "bank").cases] == ["abd_ts_example"]


@pytest.mark.parametrize("name", ["chest_ts_aorta", "nobody"])
def test_validation_cases_never_enter(two_cases, tmp_path, name):
    with pytest.raises(InputError, match=f"no whole case '{name}' for training"):
        _command("train", "noise-bank", two_cases, tmp_path / "bank", "--cases", name)
    assert not (tmp_path / "bank").exists()


def test_what_is_no_bank_is_refused(two_cases, tmp_path, data):
    with pytest.raises(InputError, match="holds no noise: make some with meddiff-fm train noise-bank"):
        NoiseBank(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        _command("train", "noise-bank", two_cases, tmp_path / "file")
    image = sitk.ReadImage(str(data / "chest_ts_aorta.nii.gz"))[:, :, 70:80]
    image.SetSpacing((1.5, 1.2, 1.5))
    add_case(tmp_path, "train", CaseFacts("flat", "b", "chest", (1.5, 1.2, 1.5), 20.0, True), image, None)
    with pytest.raises(InputError, match=r"flat are 1\.5 × 1\.2 mm"):
        make_bank_case(open_store(tmp_path, "train")[0], tmp_path / "bank", 0, 4)
