"""What is kept of a result: its voxels as a SHA-256 and as means of blocks, and its facts. Also how two are compared.

Voxels are equal to the last bit on equal processors and libraries only, so a record says where it was made; elsewhere
the means of blocks are compared, and numbers among the facts, with a tolerance.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

DIGESTS = Path(__file__).parent / "digests.json"
PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK")
BLOCKS = 4  # along each axis
TOLERANCE_HU, TOLERANCE = 0.05, 0.0001  # of means; of numbers among the facts, relative


def where_made() -> str:
    """Processor and libraries, as far as voxels depend on them."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    kinds = sorted(flag for flag in flags if flag.startswith(("avx512_bf16", "amx_bf16", "avx512_fp16")))
    packages = " ".join(f"{name}-{version(name)}" for name in PACKAGES)
    return " ".join([platform.machine(), torch.backends.cpu.get_cpu_capability(), *kinds, packages])


def digest(result, found: dict) -> dict:
    """A result as a dict that JSON gives back the same. found: by the look before."""
    outputs = {name: [_volume(one) if hasattr(one, "voxels") else one for one in some] for name, some in made(result)}
    estimate = {key: value for key, value in found.items() if "seconds" not in key}
    return _plain({"facts": result.facts.to_dict(), "look": estimate, "outputs": outputs})


def made(result):
    """Its outputs by name, in their order."""
    return result.outputs().items()


def _volume(volume) -> dict:
    voxels = np.ascontiguousarray(volume.voxels)
    blocks = voxels.astype(np.float64)
    for axis in range(3):
        parts = np.array_split(blocks, min(BLOCKS, voxels.shape[axis]), axis)
        blocks = np.concatenate([part.mean(axis=axis, keepdims=True) for part in parts], axis)
    return {
        "type": str(voxels.dtype),
        "shape": list(voxels.shape),
        "spacing": list(volume.spacing),
        "origin": list(volume.origin),
        "direction": list(volume.direction),
        "sha256": hashlib.sha256(voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)).hexdigest(),
        "mean": float(voxels.mean(dtype=np.float64)),
        "std": float(voxels.std(dtype=np.float64)),
        "block_means": [round(float(mean), 2) for mean in blocks.flat],
    }


def _plain(value):
    """Numbers with 6 significant digits, no durations, and nothing that JSON would change."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items() if "seconds" not in str(key)}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}")
    return value.item() if isinstance(value, np.generic) else value


def differences(found, expected, exact: bool, path: str = "") -> list[str]:
    """What differs, a line each; in their order, the keys of a dict too. exact: to the last bit."""
    if isinstance(found, dict) and isinstance(expected, dict):
        if list(found) != list(expected):
            return [f"{path}: keys {list(found)}, not {list(expected)}"]
        keys = found if exact else [key for key in found if key != "sha256"]
        return [line for key in keys for line in differences(found[key], expected[key], exact, f"{path}/{key}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, exact, f"{path}/{n}")]
    return [] if found == expected or (not exact and _near(found, expected)) else [f"{path}: {found}, not {expected}"]


def _near(a, b) -> bool:
    numbers = isinstance(a, float) and isinstance(b, float)
    return numbers and math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE_HU)


def write(records: dict[str, dict]) -> None:
    """All records, and where they were made; lists of numbers in one line each."""
    text = json.dumps({"made": where_made(), "cases": records}, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    DIGESTS.write_text(text + "\n", encoding="utf-8")


def read() -> dict:
    return json.loads(DIGESTS.read_text(encoding="utf-8"))
