"""The numbers of labels in a text, as lists of cases and options have them."""

from __future__ import annotations

from MedDiffFMLib.errors import InputError


def read_label_numbers(text: str, what: str) -> list[int]:
    """The label numbers in a text such as "2" or "1 3" or "1,3"; none of an empty one. InputError for other texts."""
    words = text.replace(",", " ").split()
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise InputError(f"{what} cannot be {text!r}: write the labels' numbers, as 2 or 1,3.")
    return [int(word) for word in words]
