"""What this package gains over what a user would write instead, on the same network and input, as a script by hand.

    python Testing/Benchmarks/side_by_side.py [--size Z Y X] [--threads N] [--timed-steps N] [--json FILE] [--plot FILE]
    python Testing/Benchmarks/side_by_side.py --growth [--methods balanced fast]

A slab of the repository's chest CT gets white noise, and each method takes it away, in a process of its own:

- `monai`: MONAI's sliding windows around a DDPM loop at all of the paper's timesteps, in PyTorch, float32
- `same steps`: the same loop around this package's evaluation of a volume
- `balanced`, `fast`: `denoise` at these qualities, all of the noise
- non-local means and total variation (scikit-image) and BM3D, each at the best of three strengths for this very slab

`--timed-steps` evaluates only as many timesteps of the first two and multiplies: their PSNR is then left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from side_by_side_methods import METHODS, measure

COLUMNS = {
    "windows": "windows",
    "cpu_s": "CPU-s",
    "wall_s": "wall s",
    "peak_mib": "peak MiB",
    "psnr_db": "PSNR dB",
    "ssim": "SSIM",
    "ratio": "CPU-s, ratio to monai",
}
GROWTH = (64, 128, 256, 512)  # slices


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(32, 64, 64), metavar=("Z", "Y", "X"))
    parser.add_argument("--sigma", type=float, default=30.0, help="of the noise, in HU")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runtime", default="auto", help="of all but monai: auto, torch or openvino")
    parser.add_argument("--timed-steps", type=int, help="of the first two methods; the time is multiplied")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--growth", action="store_true", help="with 64 to 512 slices, on 1 and 2 threads")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--alone", choices=METHODS, help=argparse.SUPPRESS)  # the process of one method
    return parser.parse_args()


def in_own_process(method: str, size: list[int], threads: int, given: argparse.Namespace) -> dict:
    """The figures of a method, measured by a process that does nothing else."""
    command = [sys.executable, __file__, "--alone", method, "--size", *map(str, size), "--threads", str(threads)]
    command += ["--sigma", str(given.sigma), "--runtime", given.runtime]
    command += ["--timed-steps", str(given.timed_steps)] if given.timed_steps else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(rows: list[dict]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| method | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        cells = ["–" if row.get(key) is None else f"{row[key]:.4g}" for key in COLUMNS]
        name = row["method"] + (f" (time of {row['steps_timed']} steps, multiplied)" if row["steps_timed"] else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows: list[dict], path: Path) -> None:
    """PSNR over CPU time, a point for each method that was computed to its end."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="CPU seconds", ylabel="PSNR in dB")
    for row in rows:
        if row["psnr_db"] is not None:
            axes.plot(row["cpu_s"], row["psnr_db"], "o")
            axes.annotate(row["method"], (row["cpu_s"], row["psnr_db"]), xytext=(5, 5), textcoords="offset points")
    axes.margins(x=0.2, y=0.1)
    figure.savefig(path, dpi=110)


def main() -> None:
    given = arguments()
    if given.alone:
        print(json.dumps(measure(given.alone, given)))
        return
    slices, threads = (GROWTH, (1, 2)) if given.growth else (given.size[:1], (given.threads,))
    rows = []
    for z in slices:
        for count in threads:
            found = [in_own_process(method, [z, *given.size[1:]], count, given) for method in given.methods]
            reference = next((row["cpu_s"] for row in found if row["method"] == "monai"), None)
            rows += [row | {"ratio": reference and reference / row["cpu_s"]} for row in found]
            size = f"{z} × {given.size[1]} × {given.size[2]}"
            print(f"\n{size}, threads: {count}\n\n{table(rows[-len(found) :])}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
