"""Terminals and pipes of any encoding: what they cannot show is written as an escape, and nothing ends in an error."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from patience import PATIENCE
from tiny_model import save_tiny_model

from MedDiffFMLib.batch.batch import Batch, Entry
from MedDiffFMLib.jobs.outputs import OutputItem, write_results

C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ENVIRONMENTS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "C": C_LOCALE,
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
}
# each command is a line of bytes, as a shell hands them over: its words end with zeros
DRIVER = """
import os, sys
from MedDiffFMLib.cli.app import main
for line in bytes.fromhex(sys.argv[1]).split(b"\\n"):
    code = main([os.fsdecode(word) for word in line.split(b"\\0")])
    sys.stdout.flush(), sys.stderr.flush()
    os.write(1, b"\\n== %d ==\\n" % code), os.write(2, b"\\n== ==\\n")
"""


def run(environment: dict, folder: Path, *commands: list[str | bytes]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each command, by one process; what they say must be of the encoding."""
    lines = [b"\0".join(word.encode() if isinstance(word, str) else word for word in command) for command in commands]
    encoding = environment.get("PYTHONIOENCODING", "ascii")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, b"\n".join(lines).hex()],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        timeout=PATIENCE,
    )
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 0, err
    parts = out.split("\n== ")[0:]
    codes = [int(part.partition(" ")[0]) for part in parts[1:]]
    said = [parts[0], *(part.partition("==\n")[2] for part in parts[1:])]
    return list(zip(codes, said, err.split("\n== ==\n"), strict=False))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_commands_in_a_terminal_of_any_encoding(name, model, tmp_path):
    image = sitk.ReadImage("Testing/Data/chest_ts_aorta.nii.gz")[40:72, 40:72, 60:76]
    sitk.WriteImage(image, str(tmp_path / "scan.mha"))
    options = ["--quality", "fast", "--region", "chest", "--sigma", "30", "--model", model, "--device", "cpu"]
    undecodable = b"M\xfcller \xff \xe2\x86\x92.nii.gz"
    done = run(
        ENVIRONMENTS[name],
        tmp_path,
        ["denoise", "scan.mha", "result σ → ä.nii.gz", *options, "--json", b"run \xff.json"],
        ["denoise", "scan.mha", undecodable, *options],
        ["denoise", b"missing \xff.nii.gz", "x.nii.gz", *options],
        ["denoise", "scan.mha", b"nowhere \xff/x.nii.gz", *options],
        ["denoise", "scan.mha", "x.nii.gz", "--model", b"model \xff"],
        ["denoise", "--help"],
        ["models", "list"],
        ["models", "show"],
    )
    codes, first, second = [code for code, _, _ in done], done[0], done[1]
    assert codes[2:] == [2, 2, 2, 0, 0, 0], done
    for code, out, err in (first, second):  # a name that is no UTF-8 to this process may be refused
        assert "wrote" in out if code == 0 else (code == 2 and "not UTF-8" in err)
    assert first[0] == 0 or name == "C"
    if first[0] == 0:
        assert (tmp_path / "result σ → ä.nii.gz").exists() and (tmp_path / "result σ → ä.json").exists()
        assert ("σ → ä" in first[1]) == (name == "utf-8")
        record = open(os.fsencode(tmp_path) + b"/run \xff.json", "rb").read()
        assert json.loads(record)["task"] == "denoise"
    for _, _, sentence in done[2:5]:
        assert sentence.startswith("meddiff-fm: ") and sentence.count("\n") == 1, sentence
        assert "\\udcff" in sentence and "Error:" not in sentence, sentence


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_progress_bar_on_a_terminal_of_any_encoding(encoding):
    pty = pytest.importorskip("pty", reason="a terminal of a POSIX system")
    code = """
from MedDiffFMLib.cli.terminal import take_any_text
from MedDiffFMLib.cli.bar import progress_bar
from types import SimpleNamespace
take_any_text()
with progress_bar("Denoise \\u03c3 \\udcff [/b]", words=lambda event: "\\u2192 \\udcff [/x] left") as tell:
    for n in range(3):
        tell(SimpleNamespace(fraction=n / 2))
"""
    reader, writer = pty.openpty()
    environment = os.environ | {"PYTHONIOENCODING": encoding, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=writer, env=environment)
    os.close(writer)
    shown = b""
    try:
        while block := os.read(reader, 4096):
            shown += block
    except OSError:  # the other end is closed
        pass
    assert process.wait(PATIENCE) == 0, shown
    assert b"100%" in shown and b"[/x]" in shown and b"Traceback" not in shown
    shown.decode(encoding)


def test_a_batch_table_with_undecodable_names_is_valid_text(tmp_path):
    entry = Entry(os.fsdecode(b"M\xfcller"), {}, "failed", reason=os.fsdecode(b"\xff") + ": σ → [/b]")
    Batch("denoise", [entry], tmp_path)._write()
    with (tmp_path / "status.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["name"] == "M\\udcfcller" and row["reason"] == "\\udcff: σ → [/b]"


def test_a_table_of_findings_takes_any_name(tmp_path):
    write_results([OutputItem(tmp_path / "findings.csv", [{"organ": os.fsdecode(b"M\xfcller") + " σ"}], {})])
    assert (tmp_path / "findings.csv").read_text(encoding="utf-8").splitlines()[1] == "M\\udcfcller σ"


def test_models_of_folders_with_brackets_are_listed(tmp_path, monkeypatch):
    home = tmp_path / "a [/b] folder"
    save_tiny_model(home / "models" / "[red]own", name="[red]own [/x]")
    environment = {"MEDDIFF_FM_HOME": str(home), "COLUMNS": "80", "PYTHONIOENCODING": "ascii"}
    ((code, out, err),) = run(environment, tmp_path, ["models", "list"])
    assert code == 0, err
    assert "[red]own [/x]" in out
    assert "a[/b]folder" in "".join(line.split("MB")[-1] for line in out.splitlines()).replace(" ", "")
