"""The code blocks of the documents that hold commands of this project, and what is done in small, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = (
    "Docs/reproducing-the-paper.md",
    "Training/README.md",
    "Docs/training-on-one-gpu.md",
    "Docs/evaluation-synthesis.md",
    "Training/data/datasets.md",
    "README.md",
    "Docs/batch.md",
)
OURS = re.compile(r"meddiff-fm|MedDiffFMTraining")
SMALLER = {  # options in small: what a document says, what runs, and why
    "--device cuda": ("--device cpu", "no GPU"),
    "--jobs 16": ("--jobs 1", "one processor"),
    "--workers 8": ("--workers 0", "one processor"),
    "--features medicalnet": ("--features model", "the weights are a download"),
    "--spacing 1": ("--spacing 3", "time"),
    "--from 32": ("--from 4", "time"),
    "--count 150": ("--count 2", "time"),
    "--qualities paper": (
        "--qualities fast",
        "time: 88 and 100 evaluations a window; Testing/tasks/test_paper_quality.py",
    ),
}
ADDED = {  # options added for time, where a quality has hundreds of steps, or a case hundreds of slices
    "evaluate synthesize": ["--steps", "2"],
    "evaluate ablation": ["--steps", "2", "--spacing", "3"],
    "evaluate generate-lesion": ["--steps", "2"],
    "evaluate inpaint-lesion": ["--steps", "2"],
    "evaluate condition": ["--crops", "1"],
    "evaluate denoise": ["--slices", "4"],
}
LEFT_OUT = {  # what is not run, by a word of the command or by its program, and why
    "--scheduler": "needs a Dask cluster; Testing/batch and Testing/training run one",
    "--num_machines": "needs several machines",
    "demo": "minutes with the bundled model; Testing/evaluate/test_pictures.py runs its parts",
    "worker": "waits for jobs; Testing/worker runs it",
    "pip": "installs packages",
    "pytest": "is the tests themselves",
    "tensorboard": "waits for a browser",
    "nnUNetv2_convert_MSD_dataset": "nnU-Net is a program of others and needs a GPU",
    "nnUNetv2_plan_and_preprocess": "nnU-Net is a program of others and needs a GPU",
    "nnUNetv2_train": "nnU-Net is a program of others and needs a GPU",
    "nnUNetv2_predict": "nnU-Net is a program of others and needs a GPU",
}
PROGRAMS = ("meddiff-fm", "accelerate", "pip", "tensorboard", *(name for name in LEFT_OUT if name.startswith("nnUNet")))


@dataclass(frozen=True)
class Block:
    """A code block of a document under its heading, as it stands there."""

    document: str
    heading: str
    text: str


def blocks_of(document: str) -> list[Block]:
    """The blocks of a document that hold a command of this project, in their order."""
    found, heading = [], ""
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    for part in re.finditer(r"^#+ ([^\n]*)$|^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if part[1]:
            heading = part[1]
        elif part[2] != "python" and OURS.search(part[3]):
            found.append(Block(document, heading, part[3]))
    return found


def in_small(words: list[str]) -> list[str]:
    """The words of a command for a computer without GPU, network and hours."""
    text = "\n".join(words) + "\n"
    for said, (instead, _) in SMALLER.items():
        text = text.replace(said.replace(" ", "\n") + "\n", instead.replace(" ", "\n") + "\n")
    made = text.splitlines()
    added = ADDED.get(" ".join(words[:2]), [])
    wanted = added and added[0] not in made and "--segmentations" not in made and "--write-inputs" not in made
    return made + (added if wanted else [])


def reason_not_to_run(program: str, words: list[str]) -> str | None:
    """Why a command is not run; None if it is."""
    return next((reason for word, reason in LEFT_OUT.items() if word in (program, *words)), None)
