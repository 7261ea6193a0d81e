"""The Python packages that the tasks need: what is missing or half installed."""

import importlib.metadata
import importlib.util

# name to import: (what pip installs, about how many MB are downloaded)
PACKAGES = {
    "torch": ("torch>=2.8,!=2.9.*", 2500),
    "monai": ("monai>=1.6,<1.7", 2),
    "einops": ("einops>=0.8", 1),
    "safetensors": ("safetensors>=0.5", 1),
    "huggingface_hub": ("huggingface_hub>=0.30,<3", 5),
    "filelock": ("filelock>=3.15", 1),
    "typer": ("typer>=0.15", 1),
    "rich": ("rich>=13", 1),
    "numpy": ("numpy>=1.26,<3", 20),
    "scipy": ("scipy>=1.11", 40),
    "SimpleITK": ("SimpleITK>=2.4", 50),
    "pydicom": ("pydicom>=3,<4", 2),
}


def missing():
    """Names of packages that are not there or only in part. Imports nothing."""
    return [name for name in PACKAGES if not _stands(name)]


def _stands(name):
    """Whether a package can be found and its installation was finished: pip writes the list of files at its end."""
    try:
        found = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        found = False
    return found
