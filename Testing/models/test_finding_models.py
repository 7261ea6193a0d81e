"""Where models are looked for, and the Hub: tested against a local stand-in, as the tests reach no network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from patience import PATIENCE
from tiny_model import save_tiny_model

from MedDiffFMLib.errors import Cancelled, InputError
from MedDiffFMLib.models import store as model_store
from MedDiffFMLib.models.config import verify
from MedDiffFMLib.models.loading import load_model
from MedDiffFMLib.models.store import find_model, installed

NOBODY = "http://127.0.0.1:9"  # where nothing listens

FETCH = """
import sys
from huggingface_hub import constants
from MedDiffFMLib.errors import InputError
from MedDiffFMLib.models.store import find_model
constants.DOWNLOAD_CHUNK_SIZE = 2**16  # what is kept of a broken download; the real 10 MB are more than the tiny model
try:
    found = find_model(sys.argv[1])
    print(found.source, found.folder)
except InputError as error:
    print("InputError", error)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDDIFF_FM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(model_store, "BUNDLED", tmp_path / "bundled")
    return tmp_path / "home"


def test_an_explicit_folder_goes_first(home, tmp_path):
    folder = save_tiny_model(tmp_path / "mine")
    save_tiny_model(home / "models" / "mine")
    assert find_model(folder) == model_store.ModelFolder(folder, "folder")


def test_the_users_folder_goes_before_the_bundled_model(home, tmp_path):
    bundled = save_tiny_model(tmp_path / "bundled" / "meddiff-fm-small")
    assert find_model() == find_model("meddiff-fm-small") == model_store.ModelFolder(bundled, "bundled")
    own = save_tiny_model(home / "models" / "meddiff-fm-small")
    assert find_model() == model_store.ModelFolder(own, "user")
    assert [found.folder for found in installed()] == [own]


def test_the_larger_model_is_the_default_once_it_is_there(home, tmp_path):
    save_tiny_model(tmp_path / "bundled" / "meddiff-fm-small")
    base = save_tiny_model(home / "models" / "meddiff-fm-base")
    assert find_model().folder == base


def test_what_is_not_there_is_said_with_what_is(home, tmp_path):
    with pytest.raises(InputError, match="No model is installed"):
        find_model()
    save_tiny_model(tmp_path / "bundled" / "meddiff-fm-small")
    with pytest.raises(InputError, match=r"no model 'smal'.*installed model \(meddiff-fm-small\)"):
        find_model("smal")


@pytest.fixture
def hub(tmp_path):
    folder = save_tiny_model(tmp_path / "served", name="served-model")
    (folder / "evil.bin").write_bytes(b"never wanted")
    with HubStandIn("owner/name", folder) as stand_in:
        yield stand_in


def fetch(model: str, home, endpoint: str) -> str:
    """find_model in a process of its own, as huggingface_hub reads its environment once. Returns what it printed."""
    environment = os.environ | {"MEDDIFF_FM_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_ETAG_TIMEOUT": "3"}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", FETCH, model]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_model_from_the_hub_is_used_offline_from_then_on(hub, tmp_path):
    pinned = f"owner/name@{hub.commit}"
    first = fetch(pinned, tmp_path / "home", hub.endpoint)
    source, folder = first.split(" ", 1)
    assert source == f"hub:owner/name@{hub.commit}"
    assert sorted(os.listdir(folder)) == ["README.md", "config.json", "model.safetensors"]  # and not evil.bin
    assert load_model(folder, "cpu").name == "served-model"

    asked = len(hub.requests)
    assert fetch(pinned, tmp_path / "home", hub.endpoint) == first and len(hub.requests) == asked
    assert fetch(pinned, tmp_path / "home", NOBODY) == first  # offline


def test_a_download_that_broke_off_is_resumed(hub, tmp_path):
    hub.break_off = 1
    for _ in range(2):  # the client may resume by itself; else the second call does
        printed = fetch("owner/name", tmp_path / "home", hub.endpoint)
        if not printed.startswith("InputError"):
            break
    assert verify(Path(printed.split(" ", 1)[1]))["name"] == "served-model"
    assert any(entry.startswith("model.safetensors from ") for entry in hub.ranges)


def test_an_unknown_repository_and_no_connection_are_said_in_one_sentence(hub, tmp_path):
    unknown = fetch("owner/other", tmp_path / "home", hub.endpoint)
    assert unknown.startswith("InputError The model owner/other could not be downloaded")
    nobody = fetch("owner/name", tmp_path / "home", NOBODY)
    assert nobody.startswith("InputError The model owner/name could not be downloaded")


def test_stopping_a_download_is_no_failed_download(home, monkeypatch):
    """Ctrl-C arrives as Cancelled from wherever the main thread stands, here within the Hub's client."""
    import huggingface_hub

    here = huggingface_hub.snapshot_download

    def stop(*arguments, local_files_only=False, **options):
        if local_files_only:
            return here(*arguments, local_files_only=True, **options)
        raise Cancelled

    monkeypatch.setattr(huggingface_hub, "snapshot_download", stop)
    with pytest.raises(Cancelled):
        find_model("somebody/some-model")


def download(model: str, home, endpoint: str, *options: str) -> subprocess.CompletedProcess:
    """`meddiff-fm models download` in a process of its own, with its stdin open."""
    environment = os.environ | {"MEDDIFF_FM_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HOME": str(home / "hf"), "HF_HUB_ETAG_TIMEOUT": "3", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "MedDiffFMLib", "models", "download", model, *options]
    with subprocess.Popen(
        command,
        env=environment | {"NO_PROXY": "127.0.0.1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        out, err = process.stdout.read(), process.stderr.read()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_a_download_tells_programs_its_bytes(hub, tmp_path):
    hub.bytes_a_second = 400_000  # the tiny model has some 300 kB
    done = download("owner/name", tmp_path / "home", hub.endpoint, "--events")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    total = sum((hub.folder / name).stat().st_size for name in ("config.json", "model.safetensors", "README.md"))
    shares = [event["fraction"] for event in events if event["event"] == "progress" and event["total"] == total]
    assert any(0 < share < 1 for share in shares) and shares == sorted(shares)
    assert events[-1] == {"event": "verifying"} and "stated SHA-256" in done.stdout


def test_what_arrives_damaged_is_removed_again(hub, tmp_path):
    weights = hub.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    done = download("owner/name", tmp_path / "home", hub.endpoint, "--events")
    assert done.returncode == 2 and "was removed again" in done.stderr and "get the model again" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list((tmp_path / "home" / "hub").glob("*models--*")) == []
