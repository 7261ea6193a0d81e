"""What the tests share: the repository's real CT and a tiny model with random weights."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from tiny_model import make_tiny_network, save_tiny_controls, save_tiny_model

from MedDiffFMLib.diffusion.schedule import cosine_schedule
from MedDiffFMLib.models.device import PRECISION_VARIABLE, RUNTIME_VARIABLE
from MedDiffFMLib.models.loading import Model, load_model
from MedDiffFMLib.networks.unet import Denoiser

DATA = Path(__file__).parent / "Data"
STAND_INS = Path(__file__).parent / "stand_ins"
# files that take longest, which begin first: a core that got one of them last would work alone for a minute
SLOW_FILES = """
    test_every_panel test_alone test_runs test_field_cases test_batch test_worker test_batch_part test_denoise_panel
    test_whole_body_parts test_look_foretells_run test_doctor_self_test test_batch_inputs test_golden test_live_preview
    test_evaluate_denoise test_command_line
""".split()


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors gain nothing from threads, and beside other work threads that wait for each other cost tenfold."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
    os.environ[RUNTIME_VARIABLE] = "torch"  # whose results are recorded; tests of OpenVINO ask for it
    os.environ[PRECISION_VARIABLE] = "float32"  # measuring it takes seconds in every new data folder


@pytest.fixture(autouse=True)
def heard_warnings():
    """The library's log as it is at first: a command with -q or -v sets its level for the whole process."""
    logging.getLogger("MedDiffFMLib").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def tiny_network() -> Denoiser:
    return make_tiny_network()


@pytest.fixture(scope="session")
def tiny_model(tiny_network) -> Model:
    return Model(
        name="tiny",
        folder=Path("tiny"),
        source="test",
        config={},
        network=tiny_network,
        schedule=cosine_schedule(),
        device=torch.device("cpu"),
        dtype=torch.float32,
        sha256="0" * 64,
    )


@pytest.fixture(scope="session")
def tiny_model_with_controls(tmp_path_factory) -> Model:
    """A tiny model from a folder with the ControlNets `super-resolution` and `lesion-lung`, none of them trained."""
    folder = save_tiny_model(tmp_path_factory.mktemp("controls") / "tiny", patch=16)
    return load_model(save_tiny_controls(folder), device="cpu", precision="float32")


@pytest.fixture
def segmenter_installed(monkeypatch, tmp_path):
    """A stand-in of TotalSegmentator is found, with weights in a folder (empty files), and its log goes to a file."""

    def install(*datasets):
        for dataset in datasets:
            fold = tmp_path / "weights" / dataset / "nnUNetTrainer__nnUNetPlans__3d_fullres" / "fold_0"
            fold.mkdir(parents=True)
            (fold / "checkpoint_final.pth").touch()
        return tmp_path / "log"

    monkeypatch.syspath_prepend(str(STAND_INS))
    for name in [name for name in sys.modules if name.split(".")[0] == "totalsegmentator"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(STAND_INS), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "weights"))
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield install
    for name in [name for name in sys.modules if name.split(".")[0] == "totalsegmentator"]:
        del sys.modules[name]
