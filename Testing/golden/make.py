"""`python Testing/golden/make.py [WORDS]`: compute the golden cases whose names hold one of the words, keep what they
give, and the snapshots too if one of the words is `snapshots`. Without words all. Only after a change that is meant to
change them, and that says so.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch

TESTING = Path(__file__).parents[1]
sys.path.insert(0, str(TESTING))

from golden import digest, snapshot  # noqa: E402
from golden.cases import CASES, make_inputs, make_models, run  # noqa: E402

from MedDiffFMLib.models.device import PRECISION_VARIABLE, RUNTIME_VARIABLE  # noqa: E402


def make_digests(folder: Path, words: list[str]) -> None:
    """Compute the cases and write `digests.json`."""
    inputs, models = make_inputs(TESTING / "Data"), make_models(folder)
    before = digest.read()["cases"] if words else {}
    records = {}
    for case in CASES:
        if words and not any(word in case.name for word in words):
            records[case.name] = before[case.name]
            continue
        start = time.process_time()
        records[case.name] = digest.digest(*run(case, inputs, models))
        region, count = (records[case.name]["facts"][key] for key in ("region", "network_evaluations"))
        print(f"{time.process_time() - start:5.1f} s  {case.name}: {region}, {count} evaluations", flush=True)
    digest.write(records)


def make_snapshots(folder: Path) -> None:
    """Write `snapshots` anew."""
    texts = {f"help/{command}.txt": text for command, text in snapshot.help_texts().items()}
    texts |= {name: make(folder) for name, make in snapshot.makers().items()}
    shutil.rmtree(snapshot.FOLDER, ignore_errors=True)
    for name, text in texts.items():
        path = snapshot.FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(words: list[str]) -> None:
    torch.set_num_threads(1)
    os.environ |= {"OMP_NUM_THREADS": "1", RUNTIME_VARIABLE: "torch", PRECISION_VARIABLE: "float32"}  # as in tests
    with tempfile.TemporaryDirectory() as folder:
        if not words or "snapshots" in words:
            make_snapshots(Path(folder))
        if words != ["snapshots"]:
            make_digests(Path(folder), words)


if __name__ == "__main__":
    main(sys.argv[1:])
