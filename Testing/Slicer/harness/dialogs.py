"""Dialogs that would wait for a person: the test answers beforehand, and reads afterwards what was asked.

harness.dialogs.answer("no")                     # to the next question box; without an answer a question fails
harness.dialogs.choose_file("/tmp/parameters.json")
assert "overwrite" in harness.dialogs.shown[-1].text
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6 import QtCore, QtWidgets

from .errors import NotInSlicer


@dataclass(frozen=True)
class Shown:
    """One box: its kind (info, warning, error, question, file, dialog), text, detailed text, and what was answered."""

    kind: str
    text: str
    details: str = ""
    answer: object = None


shown: list[Shown] = []
_answers: list = []
_files: list = []


def reset() -> None:
    """Forget everything; the test fixture does it before each test."""
    shown.clear()
    _answers.clear()
    _files.clear()
    _actors.clear()


def answer(*answers) -> None:
    """Answers to the coming questions, in order: "yes", "no", "ok", "cancel", "retry", or True and False."""
    _answers.extend(answers)


def choose_file(*paths: str) -> None:
    """Answers to the coming file dialogs; "" for Cancel, a tuple where several files are chosen."""
    _files.extend(paths)


def unanswered() -> int:
    """How many prepared answers nobody asked for."""
    return len(_answers) + len(_files) + len(_actors)


def tell(kind: str, text: str, details: str = "") -> None:
    shown.append(Shown(kind, text, details or ""))


def ask(text: str, details: str = ""):
    """The answer that the test gave; NotInSlicer when it gave none (the application would wait for ever)."""
    if not _answers:
        raise NotInSlicer(f"a question that the test does not answer: {text}")
    reply = _answers.pop(0)
    shown.append(Shown("question", text, details or "", reply))
    return reply


def _ask_file(title: str, kind: str = "file"):
    if not _files:
        raise NotInSlicer(f"a file dialog that the test does not answer: {title}")
    reply = _files.pop(0)
    shown.append(Shown(kind, title, answer=reply))
    return reply


class QMessageBox(QtWidgets.QMessageBox):
    """QMessageBox and its static functions, recorded; a question takes the test's answer, anything else gets its OK."""

    def exec(self):
        kinds = {
            QtWidgets.QMessageBox.Information: "info",
            QtWidgets.QMessageBox.Warning: "warning",
            QtWidgets.QMessageBox.Critical: "error",
        }
        details = QtWidgets.QMessageBox.ActionRole  # "Show Details..." ends nothing
        buttons = [button for button in QtWidgets.QMessageBox.buttons(self) if self.buttonRole(button) != details]
        if len(buttons) < 2:
            tell(kinds.get(self.icon, "info"), self.text, self.detailedText)
            return int((self.standardButtons or QtWidgets.QMessageBox.Ok).value)
        reply = ask(self.text, self.detailedText)
        for button in buttons:
            standard = self.standardButton(button)
            names = (button.text.replace("&", "").lower(), standard.name.lower())
            if str({True: "yes", False: "no"}.get(reply, reply)).lower() in names or _means(reply, standard):
                button.click()
                return int(standard.value) if standard != QtWidgets.QMessageBox.NoButton else buttons.index(button)
        raise NotInSlicer(f"the box has no button {reply!r}, only {[button.text for button in buttons]}: {self.text}")

    exec_ = exec

    @staticmethod
    def question(parent, title, text, *_, **__):
        reply = ask(text)
        return reply if isinstance(reply, QtWidgets.QMessageBox.StandardButton) else _standard(reply)

    @staticmethod
    def information(parent, title, text, *_, **__):
        tell("info", text)
        return QtWidgets.QMessageBox.Ok

    @staticmethod
    def warning(parent, title, text, *_, **__):
        tell("warning", text)
        return QtWidgets.QMessageBox.Ok

    @staticmethod
    def critical(parent, title, text, *_, **__):
        tell("error", text)
        return QtWidgets.QMessageBox.Ok


def _standard(reply):
    names = {True: "Yes", False: "No"}
    return getattr(QtWidgets.QMessageBox, names.get(reply) or str(reply).capitalize())


def _means(reply, standard) -> bool:
    """True and False also answer OK/Cancel and Retry/Close."""
    positive = (QtWidgets.QMessageBox.Yes, QtWidgets.QMessageBox.Ok, QtWidgets.QMessageBox.Retry)
    negative = (QtWidgets.QMessageBox.No, QtWidgets.QMessageBox.Cancel, QtWidgets.QMessageBox.Close)
    return (reply is True and standard in positive) or (reply is False and standard in negative)


class QFileDialog(QtWidgets.QFileDialog):
    """QFileDialog's static functions; PythonQt returns the path alone, without the filter."""

    @staticmethod
    def getOpenFileName(parent=None, caption="", *_, **__):
        return str(_ask_file(caption))

    @staticmethod
    def getSaveFileName(parent=None, caption="", *_, **__):
        return str(_ask_file(caption))

    @staticmethod
    def getExistingDirectory(parent=None, caption="", *_, **__):
        return str(_ask_file(caption))

    @staticmethod
    def getOpenFileNames(parent=None, caption="", *_, **__):
        reply = _ask_file(caption)
        return tuple(reply) if isinstance(reply, (list, tuple)) else (str(reply),) if reply else ()


def when_shown(function) -> None:
    """function(dialog) acts as the user in the next modal dialog: it must end with accept() or reject()."""
    _actors.append(function)


def _exec(dialog):
    if not _actors:
        raise NotInSlicer(f"a dialog that the test does not answer (harness.dialogs.when_shown): {dialog.windowTitle}")
    actor = _actors.pop(0)
    shown.append(Shown("dialog", dialog.windowTitle))
    QtCore.QTimer.singleShot(0, lambda: actor(dialog))
    return _qt_exec(dialog)


_actors: list = []
_qt_exec = QtWidgets.QDialog.exec


def install(qt) -> None:
    qt.QMessageBox, qt.QFileDialog = QMessageBox, QFileDialog
    QtWidgets.QDialog.exec = QtWidgets.QDialog.exec_ = _exec
