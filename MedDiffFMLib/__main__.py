"""`python -m MedDiffFMLib` is `meddiff-fm`."""

from .cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
