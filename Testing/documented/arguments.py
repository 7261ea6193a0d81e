"""What each command reads and makes, by its words, so that a page can be checked without running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

READ, MADE, WORD, MORE = "<", ">", ".", "+"  # MORE: as the argument before it, as often as there are words
ARGUMENTS = {
    "train manifest": "<>",
    "train prepare": "<>",
    "train pretrain": "<>",
    "train baseline ddpm": "<>",
    "train baseline red-cnn": "<>",
    "train finetune": "<><",
    "train export": "<<>",
    "train export-control": "<<<.",
    "train export-refiner": "<<",
    "train export-restorer": "<<",
    "train self-test": "<",
    "train simulate-noise": "<",
    "train noise-bank": "<>",
    "train dead-leaves": ">",
    "train refine": "<><",
    "train restore": "<>",
    "train distill": "<><",
    "evaluate condition": "<<.",
    "evaluate ablation": "<+",
    "evaluate distillation": "<<+",
    "evaluate nnunet-split": "<>",
    "denoise": "<>",
    "super-resolve": "<>",
    "synthesize": "<>",
    "detect-anomalies": "<>",
    "inpaint-lesion": "<<>",
    "generate-lesion": "<<>",
    "place-lesion": "<>",
    "batch": ".<>",
}
READ_BY = {
    *("--config", "--start-from", "--tasks", "--store", "--list", "--pairs", "--model", "--data", "--bmad"),
    *("--red-cnn", "--segmentations", "--leaves", "--noise", "--lesion-mask", "--anatomy", "-i"),
}
MADE_BY = {"--keep", "--json", "--write-inputs", "--findings", "-o"}
FLAGS = {"--real", "--whole-image", "--dry-run", "--baselines-only", "--self-test"}
WORDS = {"none", "totalsegmentator", "threshold"}


@dataclass
class Page:
    """A page that is walked: the files and folders that its reader has, and that its commands have made so far."""

    there: set[str] = field(default_factory=set)

    def follow(self, words: list[str]) -> list[str]:
        """What a command reads that nobody has made; what it makes is there from now on."""
        read, made = read_and_made(words)
        missing = [name for name in read if not self._has(name)]
        self.there |= set(made)
        return missing

    def _has(self, name: str) -> bool:
        """Whether it is there, or lies in a folder that is."""
        parts = PurePosixPath(name).parts
        return any("/".join(parts[: count + 1]) in self.there for count in range(len(parts)))


def read_and_made(words: list[str]) -> tuple[list[str], list[str]]:
    """The paths that a command of this project reads, and those that it makes."""
    name = max((name for name in ARGUMENTS if words[: len(name.split())] == name.split()), key=len, default="")
    plain, options = _split(words[len(name.split()) :])
    kinds = ARGUMENTS.get(name, "")
    kinds = kinds[:-1].ljust(len(plain), kinds[-2:-1]) if kinds.endswith(MORE) else kinds
    found = list(zip(kinds, plain, strict=False))
    found += [(READ, value) for option, value in options if option in READ_BY and value not in WORDS]
    found += [(MADE, value) for option, value in options if option in MADE_BY]
    return tuple([value.rstrip("/") for kind, value in found if kind == wanted] for wanted in (READ, MADE))


def _split(words: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The arguments of a command, and its options with their values."""
    plain, options, rest = [], [], iter(words)
    for word in rest:
        if word.startswith("-") and not word.lstrip("-").isdecimal():
            options.append((word, "" if word in FLAGS else next(rest, "")))
        elif not word.lstrip("-").isdecimal():
            plain.append(word)
    return plain, options
