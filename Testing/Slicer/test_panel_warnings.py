"""What the worker's readers had to choose is shown before a run and beside its result, by the names of the nodes."""

from __future__ import annotations

import sys

import pytest
from panel_run import choose, end, run
from panels import add_chest
from patience import PATIENCE
from test_every_panel import CROP

pytest.importorskip("slicer")
from harness import wait_until

# the real worker, whose reader has something to say of every file
DOUBTFUL = """#!{python}
import sys
sys.argv = ["meddiff-fm", *sys.argv[3:]]
from MedDiffFMLib.anatomy.label_maps import reading
from MedDiffFMLib.jobs import inputs
from MedDiffFMLib.volumes import io
read = io.read_volume
def doubtful(path):
    return read(path).with_warning(f"{{path}} says <two> things about its grid; the first was taken.")
reading.read_volume = inputs.read_volume = io.read_volume = doubtful
from MedDiffFMLib.cli.app import main
raise SystemExit(main())
"""


@pytest.mark.parametrize("module", ["MedDiffFMDenoise", "MedDiffFMDetectAnomalies"])
def test_a_warning_stands_below_the_estimate_and_the_result(slicer, module, open_panel, tmp_path, cold_home):
    from MedDiffFMPanels.runner.backend import Backend, saveBackend

    script = tmp_path / "python"
    script.write_text(DOUBTFUL.format(python=sys.executable))
    script.chmod(0o755)
    saveBackend(Backend("python", str(script)))
    add_chest(**CROP)
    panel = open_panel(module)
    ui = panel.ui
    try:
        choose(ui.modelBox, "tiny")
        choose(ui.regionBox, "chest")
        ui.stepsBox.value = 2
        sentence = "⚠ “Chest” says &lt;two&gt; things about its grid; the first was taken."
        wait_until(lambda: sentence in ui.estimateLabel.text, PATIENCE)
        assert "A run takes" in ui.estimateLabel.text and ui.runButton.enabled
        run(panel)
        assert ui.messageFrame.isHidden(), ui.messageLabel.text
        assert sentence in ui.resultLabel.text
    finally:
        end(panel)
        saveBackend(Backend())
