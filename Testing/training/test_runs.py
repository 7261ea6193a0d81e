"""Runs as real processes: killed at a random step, and two of them together."""

import json
import random
import socket
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import TINY
from training_runs import run, start

from MedDiffFMTraining.data.crop_config import CropConfig
from MedDiffFMTraining.learn.config import PretrainConfig
from MedDiffFMTraining.learn.log import RunLog
from MedDiffFMTraining.learn.pretrain import pretrain
from MedDiffFMTraining.learn.trainer import Trainer

CONFIG = PretrainConfig(
    network=TINY,
    crops=CropConfig(patch=(8, 16, 16)),
    steps=10,
    batch=2,
    accumulate=2,
    learning_rate=1e-3,
    ema=0.9,
    save_every=3,
    validate_every=2,
    validate_crops=1,
    sample_every=0,
)
TIMES = ("seconds", "speed/patches_per_second", "speed/waiting_share", "speed/memory_mib")


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def states_equal(one, other):
    one, other = (torch.load(folder / "last.pt", weights_only=True) for folder in (one, other))
    return all(torch.equal(v, other[k][n]) for k in ("network", "average") for n, v in one[k].items())


@pytest.fixture(scope="module")
def whole(train_cases, validation_cases, tmp_path_factory):
    """A run that nothing disturbed, in this process."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = Trainer(CONFIG, train_cases, folder, validation=validation_cases)
    log = RunLog(folder)
    pretrain(trainer, log)
    log.close()
    return folder


def board_of(folder):
    """What TensorBoard shows of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0})  # 0: all of them
    board.Reload()
    return board


def board_steps(folder):
    return [event.step for event in board_of(folder).Scalars("loss")]


def test_the_board_shows_a_resumed_run_and_nothing_that_it_replaced(tmp_path):
    """Five steps and a torn event, then a resume from step 3: steps 1 to 3 of the first process, 4 and 5 of the second,
    pictures too. The second file's name is later, as a second later would make it.
    """
    for first, loss in ((1, 0.5), (4, 0.25)):
        log = RunLog(tmp_path, first - 1)
        for step in range(first, 6):
            log({"step": step, "loss": loss})
            log.show({"crop": np.full((4, 4), loss, np.float32)}, step)
        log.close()
        if first == 1:
            (file,) = (tmp_path / "tensorboard").iterdir()
            file.write_bytes(file.read_bytes()[:-5])
            file.rename(file.with_name("events.out.tfevents.1.first"))
    board = board_of(tmp_path)
    values = [(event.step, event.value) for event in board.Scalars("loss")]
    assert values == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.25), (5, 0.25)]
    assert [event.step for event in board.Images("crop")] == [1, 2, 3, 4, 5]
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == values


def test_a_run_killed_at_a_random_step_has_the_same_curve(whole, two_cases, tmp_path):
    """kill -9 as soon as a random row is logged, then the same command: every row, the weights and the best are those
    of the run that was not killed, to the bit, and TensorBoard has each step once.
    """
    (tmp_path / "config.json").write_text(CONFIG.to_json())
    folder = tmp_path / "run"
    command = ("pretrain", str(two_cases), str(folder), "--config", str(tmp_path / "config.json"), "--device", "cpu")
    process, at = start(tmp_path, *command), random.SystemRandom().randint(1, 8)
    log, patience = folder / "log.jsonl", time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= at):
        assert process.poll() is None and time.monotonic() < patience, process.stdout.read()
        time.sleep(0.002)
    process.kill()
    process.communicate()
    with log.open("a") as file:
        file.write('{"step": 1')  # as if it had been killed while it wrote
    code, said = run(tmp_path, *command)
    assert code == 0, said
    assert rows_of(folder) == rows_of(whole), f"killed after step {at}"
    assert states_equal(folder, whole)
    assert (folder / "best.pt").exists() and board_steps(folder) == list(range(1, 11))


def test_two_processes_are_one_with_twice_the_batch(whole, two_cases, tmp_path):
    """The same samples, so the same updates but for the order of float32 sums; logged losses are of both."""
    pytest.importorskip("accelerate")
    (tmp_path / "config.json").write_text(replace(CONFIG, batch=1).to_json())
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    launcher = ("torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port))
    command = ("pretrain", str(two_cases), str(tmp_path / "run"), "--config", str(tmp_path / "config.json"))
    code, said = run(tmp_path, *command, "--device", "cpu", launcher=launcher)
    assert code == 0, said
    two, one = rows_of(tmp_path / "run"), rows_of(whole)
    assert [row["step"] for row in two] == list(range(1, 11))  # one process writes
    for mine, theirs in zip(two, one, strict=True):
        assert mine == pytest.approx(theirs, rel=2e-4), mine["step"]
    untrained = Trainer(CONFIG, [], tmp_path).network.state_dict()
    two, one = (torch.load(f / "last.pt", weights_only=True)["network"] for f in (tmp_path / "run", whole))
    apart, moved = (torch.cat([(one[n] - other[n]).flatten() for n in one]).norm() for other in (two, untrained))
    assert moved > 0.1 and apart < 0.01 * moved  # Adam makes much of rounding where a gradient is nearly 0
    code, said = run(tmp_path, *command, "--device", "cpu")  # one process with the same batch: half the samples
    assert code == 2 and "4 samples a step" in said
