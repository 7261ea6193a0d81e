"""The command line that does what a panel shows."""

import shlex

from MedDiffFMLib.parameters import TASKS, CommonParameters

from . import exchange


def commandLine(task, values, inputNames=("INPUT.nii.gz",), outputName="OUTPUT.nii.gz"):
    """The command that does the same run in a shell, with the options that differ from the defaults. Nodes appear as
    files that have to be saved under these names.
    """
    return shlex.join(["meddiff-fm", task, *inputNames, outputName, *optionWords(task, values)])


def optionWords(task, values):
    """The options of the command line for all parameters that differ from their defaults."""
    defaults, words = TASKS[task]().to_dict() | CommonParameters().to_dict(), []
    for name, value in values.items():
        if value in (None, "") or str(value) == str(defaults.get(name)):
            continue
        if name == "anatomy" and not isinstance(value, str):
            value = f"{value.GetName()}.seg.nrrd"
        if name == "roi" and not isinstance(value, str):
            value = exchange.boxOf(value)
        if name in TASKS[task].outputs_on_request():
            value = f"{name.upper()}.nii.gz"
        option = f"--{name.replace('_', '-')}"
        words += [f"{option}={value}"] if str(value).startswith("-") else [option, str(value)]
    return words
