"""The choices that a panel shows, as a task takes them: input nodes and parameters."""

from MedDiffFMLib.parameters import TASKS


def chosenInputs(task, part, bindings):
    """The input nodes by the names of the task's files. part: the panel's `TaskPart`, which may add others."""
    return {TASKS[task].files[0].name: bindings.chosenNode("input")} | part.inputs()


def chosenParameters(task, part, bindings, ofAnyInput=False):
    """The task's parameters by name, without those that are not set, and the outputs that are asked for besides the
    result. Nodes are returned as nodes. ofAnyInput: only the parameters that the widgets hold, which suit any input,
    nothing that was read from the chosen one.
    """
    names = {field["name"] for field in TASKS[task].describe()}
    texts = {name: bindings.value(name) for name in names | {"model", "device"}}
    values = {name: text for name, text in texts.items() if text != ""}
    kind = bindings.value("anatomyKind")
    if "anatomy" in names:
        values["anatomy"] = bindings.chosenNode("anatomySegmentation") if kind == "segmentation" else kind
    if bindings.value("area") == "box":
        values["roi"] = bindings.chosenNode("roi")
    values |= part.parameters()
    if ofAnyInput:
        return values
    return values | part.inputParameters(values) | dict.fromkeys(part.requestedOutputs(), "true")
