"""`python -m MedDiffFMTraining` is `meddiff-fm train`, for a machine where the project is not installed and for
launchers of several processes (`accelerate launch -m`, `torchrun -m`).
"""

from __future__ import annotations

from MedDiffFMLib.cli.errors import exit_code, report
from MedDiffFMLib.cli.terminal import take_any_text

from .commands.train import train_app


def main() -> int:
    """Run a training command with the shell's arguments. Returns the exit code, as `meddiff-fm` does."""
    take_any_text()
    try:
        return train_app(prog_name="python -m MedDiffFMTraining", standalone_mode=False) or 0
    except Exception as error:
        report(error)
        return exit_code(error)


if __name__ == "__main__":
    raise SystemExit(main())
