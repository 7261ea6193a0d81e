"""The models dialog: real processes; the Hub is a STAND-IN on this computer (Testing/models/hub_stand_in.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from patience import PATIENCE
from tiny_model import save_tiny_model

pytest.importorskip("slicer")
import harness
from harness import click, wait_until

sys.path.append(str(Path(__file__).parents[1] / "models"))
from hub_stand_in import HubStandIn

from MedDiffFMLib.models.store import BUNDLED

NOBODY = "http://127.0.0.1:9"  # where nothing listens


@pytest.fixture
def home(tmp_path, monkeypatch):
    values = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "3", "HF_HUB_DISABLE_TELEMETRY": "1"}
    values |= {"MEDDIFF_FM_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": NOBODY}
    for name, value in (values | {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "home"


@pytest.fixture
def hub(home, tmp_path, monkeypatch):
    with HubStandIn("owner/name", save_tiny_model(tmp_path / "served", name="served-model")) as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.endpoint)
        yield stand_in


@pytest.fixture
def real_hub(hub):
    """It serves the bundled model: the Hub's client writes blocks of 10 MB, so that less shows no progress."""
    hub.folder = BUNDLED / "meddiff-fm-small"
    return hub


@pytest.fixture
def dialog(slicer, home):
    from MedDiffFMPanels.dialogs.models import ModelsDialog

    opened = ModelsDialog()
    opened.widget.show()
    slicer.app.processEvents()
    yield opened
    opened.stop()


def rows(dialog):
    """Name to the other cells."""
    table = dialog.ui.modelTable
    texts = [[table.item(row, column).text() for column in range(5)] for row in range(table.rowCount)]
    return {name: cells for name, *cells in texts}


def select(dialog, name):
    dialog.ui.modelTable.setCurrentCell(list(rows(dialog)).index(name), 0)


def wait(dialog):
    wait_until(lambda: not dialog.busy, PATIENCE)
    return dialog.ui.statusLabel.text


def download(dialog, name="owner/name"):
    dialog.ui.hubEdit.text = name
    assert dialog.ui.downloadButton.enabled
    click(dialog.ui.downloadButton)


def test_the_bundled_model_is_listed_verified_and_stays(dialog):
    assert rows(dialog)["meddiff-fm-small"][0] == "came with the program"
    _source, size, state, licence = rows(dialog)["meddiff-fm-small"]
    assert size.endswith(" MB") and float(size.split()[0]) > 10 and state == "ready" and licence
    select(dialog, "meddiff-fm-small")
    assert not dialog.ui.removeButton.enabled and "came with the program" in dialog.ui.removeButton.toolTip
    click(dialog.ui.verifyButton)
    assert not dialog.ui.verifyButton.enabled and dialog.ui.progressBar.visible
    assert wait(dialog) == "“meddiff-fm-small” is complete." and rows(dialog)["meddiff-fm-small"][2] == "verified"


def test_folders_are_added_whole_or_not_and_removed(dialog, home, tmp_path):
    tiny = save_tiny_model(tmp_path / "tiny", patch=16)
    own = home / "models" / "tiny"
    weights = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(weights[:-4] + b"abcd")
    harness.dialogs.choose_file(str(tiny), str(tiny), str(tmp_path))
    click(dialog.ui.addButton)
    assert "damaged" in wait(dialog) and list(own.parent.iterdir()) == []
    (tiny / "model.safetensors").write_bytes(weights)
    click(dialog.ui.addButton)
    assert wait(dialog) == "“tiny” was added." and (own / "model.safetensors").read_bytes() == weights
    click(dialog.ui.addButton)
    assert "is not a model folder" in wait(dialog)
    select(dialog, "tiny")
    harness.dialogs.answer("cancel")
    click(dialog.ui.removeButton)
    assert own.exists()
    select(dialog, "tiny")
    harness.dialogs.answer("ok")
    click(dialog.ui.removeButton)
    assert not own.exists() and "removed" in dialog.ui.statusLabel.text and "tiny" not in rows(dialog)


def test_a_download_with_progress_to_a_model_that_panels_offer(dialog, real_hub, open_panel):
    hub = real_hub
    hub.bytes_a_second = 5_000_000
    shares = []
    download(dialog)
    assert dialog.ui.downloadButton.text == "Cancel" and not dialog.ui.addButton.enabled
    bar = dialog.ui.progressBar
    wait_until(lambda: shares.append(bar.value / bar.maximum if bar.maximum else 0) or not dialog.busy, PATIENCE)
    assert dialog.ui.statusLabel.text == "“owner/name” was downloaded and verified."
    assert any(0.1 < share < 0.9 for share in shares)
    assert rows(dialog)["owner/name"][0] == "the Hugging Face Hub" and rows(dialog)["owner/name"][2] == "ready"
    panel = open_panel("MedDiffFMDenoise")
    assert panel.ui.modelBox.findData(f"owner/name@{hub.commit}") >= 0
    select(dialog, "owner/name")
    harness.dialogs.answer("ok")
    click(dialog.ui.removeButton)
    assert "owner/name" not in rows(dialog)


def test_cancel_and_going_on(dialog, real_hub, home):
    """Nothing half is listed as ready after it, and a second download goes on from there."""
    hub = real_hub
    weights_fetched = lambda: sum("GET" in line and "safetensors" in line for line in hub.requests)  # noqa: E731
    hub.bytes_a_second = 3_000_000
    download(dialog)
    bar = dialog.ui.progressBar
    wait_until(lambda: bar.maximum and 0.1 < bar.value / bar.maximum < 1, PATIENCE)
    click(dialog.ui.downloadButton)
    wait_until(lambda: not dialog.busy)
    assert dialog.ui.statusLabel.text.startswith("Cancelled.") and dialog.ui.downloadButton.text == "Download"
    assert rows(dialog).get("owner/name", ["", "", "incomplete"])[2].startswith("incomplete")
    hub.bytes_a_second, first = None, weights_fetched()
    download(dialog)
    assert wait(dialog) == "“owner/name” was downloaded and verified."
    assert hub.ranges or weights_fetched() - first < first, "what had arrived was fetched again"


def test_what_arrives_damaged_is_gone_again(dialog, hub, home):
    weights = hub.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    download(dialog)
    said = wait(dialog)
    assert "removed again" in said and "checksum" in said and "get the model again" in said
    assert "owner/name" not in rows(dialog) and list((home / "hub").glob("*models--*")) == []


def test_without_a_network(dialog, home):
    download(dialog)
    said = wait(dialog)
    assert "could not be downloaded" in said and "check the id and the connection" in said
    assert "owner/name" not in rows(dialog)
    dialog.ui.hubEdit.text = "no id"
    assert not dialog.ui.downloadButton.enabled
