"""The script that runs the documented commands: it finds them all, runs blocks as written, and sees what fails."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'training')")
pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'training')")

sys.path.insert(0, str(Path(__file__).parent))
import blocks
from arguments import Page
from given import names_given, write_given
from raw_data import write_bmad
from run_documented_commands import Outcome, Runner, words_of
from tiny_model import save_tiny_model
from workspace import make_recipes

on_unix = pytest.mark.skipif(sys.platform == "win32", reason="bash runs the blocks")


def test_no_document_with_commands_is_forgotten():
    files = [path.relative_to(blocks.REPOSITORY).as_posix() for path in blocks.REPOSITORY.glob("**/*.md")]
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=blocks.REPOSITORY, capture_output=True, text=True)
    hidden = set(ignored.stdout.split()) | {"Docs/worker.md", "Docs/architecture.md"}  # jobs; folders
    assert {file for file in files if blocks.blocks_of(file)} - hidden == set(blocks.DOCUMENTS)


def test_python_in_a_document_is_no_block_for_bash():
    assert not [block for block in blocks.blocks_of("Training/README.md") if "NoiseBank(" in block.text]


def test_the_words_of_a_command_in_small():
    said = "train pretrain store run --config a.json --device cuda --workers 8"
    assert blocks.in_small(said.split()) == "train pretrain store run --config a.json --device cpu --workers 0".split()
    assert blocks.in_small(["evaluate", "condition", "s", "m", "n"])[-2:] == ["--crops", "1"]
    assert blocks.in_small("evaluate super-resolve --box 1,2,3 --ends 0".split(), "small") == [
        *("evaluate", "super-resolve", "--ends", "0", "--model", "small")
    ]
    assert blocks.in_small("super-resolve a b --spacing 1".split(), "small") == "super-resolve a b --spacing 1".split()
    assert blocks.reason_not_to_run("meddiff-fm", "train prepare m s --scheduler tcp://HOST:8786".split()).startswith(
        "needs a Dask"
    )


def test_every_program_that_is_left_out_is_known_to_the_blocks():
    """Else bash would run it: what a block calls is this project's, the shell's, or a program with a reason."""
    for program in blocks.PROGRAMS[3:]:
        assert blocks.reason_not_to_run(program, []) == blocks.LEFT_OUT[program]
    assert not blocks.reason_not_to_run("meddiff-fm", ["train", "export", "a", "b", "c"])


class Reader(Runner):
    """Reads a page and runs nothing: a command fails if it reads what nobody has made."""

    def run_command(self, program, words):
        words = words_of(words) if program == "accelerate" else words
        missing = [name for name in self.page.follow(words) if not (self.folder / name).exists()]  # by cp
        return Outcome(words, 0, True, f"{missing} was not made before" if missing else "")


@on_unix
@pytest.mark.parametrize("document", blocks.DOCUMENTS)
def test_what_a_command_reads_is_given_or_made_before(document, tmp_path):
    """So a reader who copies a page from its first command to the last has every name."""
    make_recipes(tmp_path)
    reader = Reader(tmp_path, log=lambda outcome: None)
    reader.page = Page(names_given(document))
    for block in blocks.blocks_of(document):
        reader.run_block(block)
    assert reader.outcomes and not [str(outcome) for outcome in reader.outcomes if outcome.reason]


def test_what_a_command_reads_too_early_is_seen():
    page = Page({"DATA", "Training"})
    assert page.follow("train manifest DATA own.csv".split()) == []
    assert page.follow("train prepare own.csv store --spacing own".split()) == []
    assert page.follow("train export run6/last.pt run6/config.json my-model --tasks tasks.json".split()) == [
        *("run6/last.pt", "run6/config.json", "tasks.json")
    ]
    assert page.follow("evaluate ablation one my-model --data DATA --features medicalnet".split()) == ["one"]
    assert page.follow(["batch", "denoise", "scans", "results/", "--lesion-mask", "m/{name}.nii.gz"]) == [
        *("scans", "m/{name}.nii.gz")
    ]


@on_unix
def test_the_page_of_the_data_sets_runs(tmp_path):
    """From folders as owners publish them to manifests: the one page whose commands take a second."""
    page = "Training/data/datasets.md"
    runner = Runner(tmp_path / "page", log=lambda outcome: None)
    write_given(page, runner.folder)
    for block in blocks.blocks_of(page):
        runner.run_block(block)
    assert [outcome.ran and not outcome.reason for outcome in runner.outcomes] == [True, True]
    assert len((runner.folder / "msd-liver.csv").read_text(encoding="utf-8").splitlines()) > 1


@on_unix
def test_the_table_of_anomalies_is_made_from_raw_slices(tmp_path):
    """Table VI's own block, by bash; and of another block what fails is seen, and what follows runs."""
    write_bmad(tmp_path / "raw" / "BMAD" / "liver")
    save_tiny_model(tmp_path / "base-model", patch=16)
    runner = Runner(tmp_path, log=lambda outcome: None)
    (block,) = [b for b in blocks.blocks_of("Docs/reproducing-the-paper.md") if b.heading.startswith("Table VI:")]
    runner.run_block(block)
    runner.run_block(blocks.Block("", "", "meddiff-fm train export a b c\ntensorboard --logdir run\n"))
    table, failed, other = runner.outcomes
    assert table.ran and not table.reason and (tmp_path / "table6.json").is_file()
    assert failed.ran and "exit code 2: meddiff-fm: b cannot be read" in failed.reason
    assert not other.ran and other.reason == "waits for a browser"
