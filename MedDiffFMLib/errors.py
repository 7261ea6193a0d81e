"""The errors a user can meet, by what they can do about them. Standard library only."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used. The message is one sentence: what, why, and what to do. Exit code 2."""


class Cancelled(Exception):
    """The user stopped the work. Nothing is left behind. Exit code 3."""
