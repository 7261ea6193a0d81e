"""Gzip files written in pieces: what any reader reads, the same bytes for any number of threads."""

import gzip
import subprocess
import zlib

import numpy as np
import pytest

from MedDiffFMLib.volumes import gzip_writing
from MedDiffFMLib.volumes.gzip_writing import PIECE, write_gzip


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 17])
def test_a_file_comes_back(tmp_path, size):
    content = np.random.default_rng(0).integers(-30, 30, size, np.int8).tobytes()
    (tmp_path / "plain").write_bytes(content)
    write_gzip(tmp_path / "plain", tmp_path / "file.gz")
    packed = (tmp_path / "file.gz").read_bytes()
    assert gzip.decompress(packed) == content
    one_member = zlib.decompressobj(16 + zlib.MAX_WBITS)  # readers that stop after the first
    assert (one_member.decompress(packed), one_member.eof, one_member.unused_data) == (content, True, b"")
    subprocess.run(["gzip", "--test", tmp_path / "file.gz"], check=True)


def test_threads_change_nothing(tmp_path, monkeypatch):
    (tmp_path / "plain").write_bytes(np.arange(3 * PIECE, dtype=np.int16).tobytes())
    for threads in (1, 3):
        monkeypatch.setattr(gzip_writing.os, "cpu_count", lambda count=threads: count)
        write_gzip(tmp_path / "plain", tmp_path / f"{threads}.gz")
    assert (tmp_path / "1.gz").read_bytes() == (tmp_path / "3.gz").read_bytes()


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "plain").write_bytes(b"1")
    with pytest.raises(OSError, match="No such file"):
        write_gzip(tmp_path / "plain", tmp_path / "nowhere" / "file.gz")
