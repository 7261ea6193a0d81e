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
    "Docs/evaluation-restoration.md",
    "Docs/evaluation-image-quality.md",
    "Docs/evaluation-synthesis.md",
    "Training/data/datasets.md",
    "README.md",
    "Docs/batch.md",
)
OURS = re.compile(r"meddiff-fm|MedDiffFMTraining|^tar ", re.MULTILINE)
SMALLER = {  # options in small: what a document says, what runs, and why
    "--device cuda": ("--device cpu", "no GPU"),
    "--jobs 16": ("--jobs 1", "one processor"),
    "--workers 8": ("--workers 0", "one processor"),
    "--features medicalnet": ("--features model", "the weights are a download"),
    "--spacing 1": ("--spacing 3", "time"),
    "--count 150": ("--count 2", "time"),
    "--patch 64": ("--patch 16", "time"),
    "--rounds 10": ("--rounds 1", "time"),
    "--qualities paper": (
        "--qualities fast",
        "time: 88 and 100 evaluations a window; Testing/tasks/test_paper_quality.py",
    ),
}
DROPPED = {  # options without which a command runs, with their value
    "--box": "the made CTs are smaller",
    "--slab": "the made CTs are smaller",
}
ADDED = {  # options added for time, where a quality has hundreds of steps, or a case hundreds of slices
    "evaluate synthesize": ["--steps", "2"],
    "evaluate ablation": ["--steps", "2", "--spacing", "3"],
    "evaluate generate-lesion": ["--steps", "2"],
    "evaluate inpaint-lesion": ["--steps", "2"],
    "generate-lesion": ["--steps", "2"],
    "inpaint-lesion": ["--steps", "2"],
    "evaluate condition": ["--crops", "1"],
    "evaluate denoise": ["--slices", "4"],
}
SMALL_MODEL = "my-model"  # in a document's folder it takes the bundled model's place, which takes minutes, in
MEASURED = "denoise super-resolve detect-anomalies synthesize generate-lesion inpaint-lesion image-quality".split()
LEFT_OUT = {  # what is not run, by a word of the command or by its program, and why
    "--scheduler": "needs a Dask cluster; Testing/batch and Testing/training run one",
    "--num_machines": "needs several machines",
    "demo": "minutes with the bundled model; Testing/evaluate/test_pictures.py runs its parts",
    "worker": "waits for jobs; Testing/worker runs it",
    "pip": "installs packages",
    "pytest": "is the tests themselves",
    "tensorboard": "waits for a browser",
    "Testing/Benchmarks/on_a_gpu.py": "needs a GPU",
    "nnUNetv2_convert_MSD_dataset": "nnU-Net is a program of others and needs a GPU",
    "nnUNetv2_plan_and_preprocess": "nnU-Net is a program of others and needs a GPU",
    "nnUNetv2_train": "nnU-Net is a program of others and needs a GPU",
    "nnUNetv2_predict": "nnU-Net is a program of others and needs a GPU",
}
PROGRAMS = (  # of a block, that are no shell's
    *("meddiff-fm", "accelerate", "python", "pip", "pytest", "tensorboard"),
    *(name for name in LEFT_OUT if name.startswith("nnUNet")),
)


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


def in_small(words: list[str], model: str = "") -> list[str]:
    """The words of a command for a computer without GPU, network and hours. What computes a task only takes few steps
    for a lesion. model: a small one, for an evaluation that names none.
    """
    if words[0] not in ("train", "evaluate") and not words[0].endswith(".py"):
        return words + ADDED.get(words[0], [])
    text = "\n".join(words) + "\n"
    for said, (instead, _) in SMALLER.items():
        text = text.replace(said.replace(" ", "\n") + "\n", instead.replace(" ", "\n") + "\n")
    made = _without_dropped(text.splitlines())
    added = ADDED.get(" ".join(words[:2]), [])
    if "--segmentations" in made or "--write-inputs" in made:
        return made
    bundled = made[:1] == ["evaluate"] and made[1] in MEASURED and not {"--model", "--baselines-only"} & {*made}
    named = ["--model", model] if model and bundled and "none" != _value("--qualities", made) else []
    return made + named + (added if added and added[0] not in made else [])


def _value(option: str, words: list[str]) -> str:
    return words[words.index(option) + 1] if option in words else ""


def reason_not_to_run(program: str, words: list[str]) -> str | None:
    """Why a command is not run; None if it is."""
    return next((reason for word, reason in LEFT_OUT.items() if word in (program, *words)), None)


def _without_dropped(words: list[str]) -> list[str]:
    gone = {at + more for at, word in enumerate(words) if word in DROPPED for more in (0, 1)}
    return [word for at, word in enumerate(words) if at not in gone]
