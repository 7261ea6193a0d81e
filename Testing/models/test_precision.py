"""The precision that `auto` takes: measured by the real evaluations, with only the clock replaced."""

from __future__ import annotations

import itertools
import json
import time

import pytest
import torch
from tiny_model import save_tiny_model

from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models import precision
from MedDiffFMLib.models.device import PRECISION_VARIABLE
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.precision import FILE, Timing

FASTER, SLOWER = (1.0, 0.5), (1.0, 2.0)  # so clearly that one round is enough
SLOW = (9.0, 9.0)  # the first of each converts and compiles: it does not count


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder of its own, where nothing was measured before, and no precision that the environment chooses."""
    monkeypatch.delenv(PRECISION_VARIABLE)
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path):
    return save_tiny_model(tmp_path / "tiny", patch=16)


@pytest.fixture
def clock(monkeypatch):
    """Let evaluations take these seconds, in turn; returns the list of those that were read."""

    def set_to(*seconds):
        spent = itertools.chain(seconds, itertools.repeat(None))
        read = []

        def now(device):
            read.append(next(spent) if len(read) % 2 else 0.0)
            return read[-1]

        monkeypatch.setattr(precision, "clock", now)
        return read

    return set_to


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 0.8, 1.1, 0.7), torch.bfloat16),
        ((1.0, 0.95, 1.1, 0.95), torch.float32),  # a gain that may be chance
        ((1.2, 1.0, 0.9, 1.0), torch.float32),  # the best of each
        (FASTER, torch.bfloat16),
        (SLOWER, torch.float32),
    ],
)
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_auto_takes_what_was_faster(home, folder, clock, seconds, expected, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    clock(*SLOW, *seconds)
    model = load_model(folder, device="cpu", runtime=runtime)
    assert model.dtype == expected
    assert 0 <= model.timing.error < 0.05  # 0 where a processor computes the one in the other
    best = min(seconds[::2]), min(seconds[1::2])
    assert (model.timing.float32, model.timing.bfloat16) == best
    assert f"on a window of 16³: float32 {best[0]:.3f} s, bfloat16 {best[1]:.3f} s" in str(model.timing)


def test_a_precision_given_by_hand_is_not_measured(home, folder, clock):
    read = clock()
    model = load_model(folder, device="cpu", precision="bfloat16", runtime="torch")
    assert (model.dtype, model.timing, read) == (torch.bfloat16, None, [])
    assert not (home / FILE).exists()


def test_a_computer_measures_once_and_again_where_something_changed(home, folder, clock, monkeypatch):
    clock(*SLOW, *FASTER)
    measured = load_model(folder, device="cpu", runtime="torch").timing
    read = clock()  # a call of the clock would fail
    assert load_model(folder, device="cpu", runtime="torch").timing == measured
    assert read == []
    for name, value in (
        ("device_name", lambda device: "another processor"),
        ("version", lambda package: "another version"),
        ("versions", lambda: {"meddiff-fm": "another"}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(precision, name, value)
            clock(*SLOW, *SLOWER)
            assert load_model(folder, device="cpu", runtime="torch").dtype == torch.float32
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    clock(*SLOW, *SLOWER)
    assert load_model(folder, device="cpu", runtime="torch").dtype == torch.float32
    assert len(json.loads((home / FILE).read_text())) == 5


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "\0"])
def test_a_damaged_file_is_measured_anew(home, folder, clock, content):
    clock(*SLOW, *FASTER)
    load_model(folder, device="cpu", runtime="torch")
    (key,) = json.loads((home / FILE).read_text())
    (home / FILE).write_text(content.replace('"a"', f'"{key}"'))
    clock(*SLOW, *SLOWER)
    assert load_model(folder, device="cpu", runtime="torch").dtype == torch.float32
    assert json.loads((home / FILE).read_text())[key]["bfloat16"] == 2.0


def test_where_nothing_can_be_kept_each_process_measures(home, folder, clock):
    home.write_text("a file where the data folder should be")
    clock(*SLOW, *FASTER)
    assert load_model(folder, device="cpu", runtime="torch").dtype == torch.bfloat16
    assert home.read_text() == "a file where the data folder should be"


@pytest.mark.parametrize(("seconds", "read"), [(1.6, 4), (0.6, 4), (1.4, 6), (0.7, 6)])
def test_what_is_clear_is_measured_no_further(home, folder, clock, seconds, read):
    clock_read = clock(*SLOW, 1.0, seconds, 1.0, seconds)
    assert load_model(folder, device="cpu", runtime="torch").timing.bfloat16 == seconds
    assert len(clock_read) == 2 * read


def test_bfloat16_that_rounds_too_much_or_is_not_possible_is_not_taken():
    assert Timing(32, 1.0, 0.5, 0.049).dtype == torch.bfloat16
    assert Timing(32, 1.0, 0.5, 0.051).dtype == torch.float32
    assert Timing(32, 1.0, 0.5, float("nan")).dtype == torch.float32
    assert Timing(32, 1.0, None, None).dtype == torch.float32
    assert str(Timing(32, 1.0, None, None)).endswith("float32 1.000 s, bfloat16 not possible")


def test_this_computer_takes_what_its_own_clock_says(home, folder):
    """With the real clock: whichever it is, the figures say why."""
    model = load_model(folder, device="cpu", runtime="torch")
    faster = model.timing.bfloat16 < 0.9 * model.timing.float32
    assert model.dtype == (torch.bfloat16 if faster else torch.float32)


def test_other_work_beside_does_not_count():
    """A processor's clock stands still while a process waits for others; a GPU's does not."""
    before = {kind: precision.clock(torch.device(kind)) for kind in ("cpu", "cuda")}
    time.sleep(0.3)
    spent = {kind: precision.clock(torch.device(kind)) - before[kind] for kind in before}
    assert spent["cpu"] < 0.1 and spent["cuda"] >= 0.3


def test_the_environment_says_what_auto_means(home, folder, clock, monkeypatch):
    """Nothing is measured then, and a precision given by hand wins."""
    read = clock(*SLOW, *FASTER)
    monkeypatch.setenv(PRECISION_VARIABLE, "float32")
    assert load_model(folder, "cpu").dtype == torch.float32
    assert load_model(folder, "cpu", precision="bfloat16").dtype == torch.bfloat16
    assert not read and not (home / FILE).exists()
    monkeypatch.setenv(PRECISION_VARIABLE, "float8")
    with pytest.raises(InputError, match="no precision 'float8'"):
        load_model(folder, "cpu")
