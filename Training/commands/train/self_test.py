"""`meddiff-fm train self-test`: what a model computes, for `meddiff-fm doctor --self-test` on other computers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def self_test(
    folder: Annotated[Path, typer.Argument(help="Model folder; its config.json keeps the statistics.")],
) -> None:
    """Record what every task of a model computes on a small CT, as the last step before the model is given away.

    On the processor, in float32 and bfloat16: a multiple of the difference becomes the tolerance.
    """
    from MedDiffFMLib.cli.bar import progress_bar
    from MedDiffFMLib.self_test.record import record

    with progress_bar("Self-test") as progress:
        statistics, left_out = record(folder, progress)
    for task, of_task in statistics.items():
        for name, entry in of_task.items():
            print(f"{task:>16}  {name:46}{entry['expected']:>10.3f} ± {entry['tolerance']:.3f}")
    for task, reason in left_out.items():
        print(f"{task:>16}  left out: {reason}")
    print(f"Recorded in {folder / 'config.json'}")
