"""`python -m MedDiffFMTraining` is `meddiff-fm train`, for a machine where the project is not installed."""

from .train import app

if __name__ == "__main__":
    app(prog_name="python -m MedDiffFMTraining")
