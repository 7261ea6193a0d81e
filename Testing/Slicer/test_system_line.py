"""The System line knows what to do without a GPU once a worker has answered, whatever it was asked."""

from __future__ import annotations

import pytest
from panel_run import choose, end, run
from panels import add_chest
from patience import PATIENCE

pytest.importorskip("slicer")
from harness import wait_until


def test_the_first_look_tells_the_system_and_a_run_keeps_the_advice(slicer, open_panel, cold_home, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    add_chest(z=slice(50, 66), y=slice(20, 68), x=slice(20, 68))
    panel = open_panel("MedDiffFMDenoise")
    label = panel.ui.systemLabel
    choose(panel.ui.modelBox, "tiny")
    choose(panel.ui.qualityBox, "fast")
    choose(panel.ui.regionBox, "chest")
    assert "Click Test" in label.text
    wait_until(lambda: "A run takes" in panel.ui.estimateLabel.text, PATIENCE)
    wait_until(lambda: "PyTorch" in label.text, PATIENCE)
    advice = [words for words in ("install a CUDA build", "sees no NVIDIA card") if words in label.text]
    assert len(advice) == 1 and "tiny" in label.text and "GB memory" in label.text, label.text
    assert panel.ui.runButton.enabled and panel.ui.testButton.enabled
    run(panel)
    assert panel.ui.messageFrame.isHidden(), panel.ui.messageLabel.text
    assert label.text.startswith("processor (CPU)") and advice[0] in label.text
    end(panel)
