"""Q_PROPERTYs of stand-ins in one line each."""

from __future__ import annotations

from PySide6.QtCore import Property


def remembered(type_, default, then=None) -> Property:
    """A property that keeps what was written; `then(self)` runs after each change."""
    key = object()

    def read(self):
        value = self.__dict__.setdefault("_remembered", {}).get(key, default)
        return tuple(value) if isinstance(value, list) else value  # as PythonQt gives lists

    def write(self, value):
        if value != read(self):
            self.__dict__["_remembered"][key] = value
            if then is not None:
                then(self)

    return Property(type_, read, write)


def passed_on(type_, part: str, name: str) -> Property:
    """The property `name` of the inner widget in attribute `part`, which has the same meaning."""
    return Property(
        type_,
        lambda self: getattr(getattr(self, part), name),
        lambda self, value: setattr(getattr(self, part), name, value),
    )
