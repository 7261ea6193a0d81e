"""The script of Docs/slicer.md, as written there but for its paths, without widgets and without a main window."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from panels import add_chest, folders_left

pytest.importorskip("slicer")
import harness

ROOT = Path(__file__).parents[2]


def test_the_documented_script_runs_as_written(slicer, cold_home, tmp_path, monkeypatch):
    text = (ROOT / "Docs" / "slicer.md").read_text(encoding="utf-8")
    (script,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "--no-main-window" in block]
    assert script.count('"/data/') == 2
    monkeypatch.syspath_prepend(str(ROOT / "MedDiffFM" / "MedDiffFMDenoise"))  # as Slicer's own paths of modules
    chest = add_chest()
    before = slicer.util.arrayFromVolume(chest).copy()
    assert slicer.util.saveNode(chest, str(tmp_path / "ct.nrrd"))
    slicer.mrmlScene.Clear(False)
    script = script.replace("/data/", f"{tmp_path.as_posix()}/")
    try:
        with harness.without_main_window(), pytest.raises(SystemExit) as ended:
            exec(compile(script, "denoise.py", "exec"), {"__name__": "__main__"})
        assert ended.value.code == 0
    finally:
        from MedDiffFMPanels.runner.job import sharedWorker

        sharedWorker().end()
        sys.modules.pop("MedDiffFMDenoise", None)
    node = slicer.util.loadVolume(str(tmp_path / "ct-denoised.nrrd"))
    voxels = slicer.util.arrayFromVolume(node)
    assert voxels.shape == before.shape and (voxels != before).any() and np.isfinite(voxels).all()
    record = json.loads(slicer.util.getNode("ct denoised").GetAttribute("MedDiffFM.provenance"))
    assert (record["parameters"]["quality"], float(record["parameters"]["sigma"])) == ("fast", 25.0)
    assert folders_left() == []
