"""What the outside sees is what it saw (see `snapshot`); `python Testing/golden/make.py snapshots` keeps it anew."""

import pytest
from golden import snapshot

HELPS = snapshot.help_texts()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("snapshots")


@pytest.mark.parametrize("command", HELPS)
def test_a_commands_help(command):
    difference = snapshot.difference(f"help/{command}.txt", HELPS[command])
    assert not difference, difference


def test_no_command_is_gone():
    assert {path.stem for path in (snapshot.FOLDER / "help").iterdir()} == set(HELPS)


@pytest.mark.parametrize("name", snapshot.makers())
def test_what_the_outside_sees(name, folder):
    difference = snapshot.difference(name, snapshot.makers()[name](folder))
    assert not difference, difference
