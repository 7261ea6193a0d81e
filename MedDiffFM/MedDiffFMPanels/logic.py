"""The logic that runs a task on nodes of the scene, for a panel or from a script. It uses no widgets."""

import json
import time

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MedDiffFMLib.parameters import TASKS, split_values
from MedDiffFMLib.worker.protocol import PROTOCOL

from . import failures
from .failures import Failure
from .runner.job import Job, inputFile, outputFiles, previewFile, sharedWorker
from .scene import exchange
from .scene.checks import problemOf, targetProblem
from .scene.mixed_results import addUncertaintyOf
from .scene.nrrd import readNrrd, writeNrrd
from .scene.uncertainty import release
from .scene.written_volume import writtenVolume


class PanelLogic(ScriptedLoadableModuleLogic):
    """Runs a task of MedDiffFMLib on nodes.

    task: its name in MedDiffFMLib. inputProblem: a function that returns why a node cannot be the first input, or None.
    A subclass overrides `resultName` for the names of its results, and `addOutputToScene` for other kinds of outputs.
    """

    task = ""
    inputProblem = staticmethod(problemOf)

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._job = None

    # for scripts

    def process(self, inputVolume, target=None, backend=None, **parameters):
        """Run the task, wait for its end and return the result's node. Slicer stays responsive: events are processed.

        target: a volume node to fill, else a new one is made. backend: where to run, else the saved one. parameters:
        those of the command line, by name; `anatomy` may be a segmentation node, `roi` a box node, and `uncertainty`
        True asks for that too (`scene.uncertainty.uncertaintyOf`). Raises Failure, which says what is wrong and what to
        do.
        """
        problem = self.inputProblem(inputVolume)
        if problem:
            raise Failure("input", problem.reason, problem.suggestion)
        ends, name = [], TASKS[self.task].files[0].name
        self.start({name: inputVolume}, parameters, target, onEnd=lambda *end: ends.append(end), backend=backend)
        while not ends:
            slicer.app.processEvents()
            time.sleep(0.005)
        result, failure = ends[0]
        if failure:
            raise failure
        return result[0] if result else None

    # for panels

    @property
    def busy(self):
        """Whether a job of this logic runs."""
        return self._job is not None and self._job.running

    def start(self, inputs, parameters, target=None, onProgress=None, onPreview=None, onEnd=None, backend=None):
        """Start the task and return its job without waiting for the end.

        inputs: nodes by the names of the task's input files; the first is the volume whose grid the others share.
        target: a volume node to fill, else a new one is made. onEnd(nodes, failure) is called once: with the results,
        with the reason why there are none, or with None twice after a cancel.
        """
        values = self._checkParameters(parameters)
        problem = targetProblem(target, inputs.values())
        if problem:
            raise Failure("input", problem.reason, problem.suggestion)
        guard = _NodeGuard([*inputs.values(), *([target] if target else [])], self)

        def progress(event):
            path = previewFile(event, self._job.folder) if onPreview else None
            if path:
                onPreview(path)
            if onProgress:
                onProgress(event)

        def end(nodes, failure):
            guard.stop()
            if onEnd:
                onEnd(nodes, failures.withNodeNames(failure, inputs))

        self._job = Job(
            lambda folder, backend: self._write(folder, backend, inputs, values, bool(onPreview)),
            lambda event, folder: self._read(
                _withNodeNames(event, inputs), folder, next(iter(inputs.values())), target
            ),
            progress,
            end,
            backend,
        )
        self._job.start()
        return self._job

    def estimate(self, inputs, parameters, onEnd, backend=None):
        """Ask the worker for an estimate: what it finds in the input, and the time and memory that a run would take.

        onEnd(event, failure) is called once: with the worker's answer, or with the reason why there is none.
        """
        values = self._checkParameters(parameters)

        def finish(event, folder):
            yield from ()  # a generator, as `Job` expects
            event["facts"]  # without facts the KeyError becomes a failure of the job
            return _withNodeNames(event, inputs)

        def end(event, failure):
            onEnd(event, failures.withNodeNames(failure, inputs))

        self._job = Job(
            lambda folder, backend: self._write(folder, backend, inputs, values, False, "look"),
            finish,
            onEnd=end,
            backend=backend,
        )
        self._job.start()

    def cancel(self):
        """Cancel the job because the user wants it."""
        if self.busy:
            self._job.cancel()

    def stop(self, failure):
        """Stop the job for another reason than the user's wish; `failure` goes to `onEnd`."""
        if self.busy:
            self._job.cancel(failure)

    def abandon(self):
        """Stop the job at once without calling its `onEnd`, and end the worker."""
        if self._job:
            self._job.abandon()

    def leave(self):
        """Stop the job without calling its `onEnd`; the worker and its model stay."""
        if self._job:
            self._job.abandon(keepWorker=True)

    @property
    def log(self):
        """The last messages of the worker."""
        return (self._job.log if self._job else "") or sharedWorker().log()

    # what a subclass may override

    def requestParameters(self, values):
        """The parameters that the worker is asked with, for a run and for its estimate."""
        return values

    def resultName(self, sourceNode, number=0):
        """The name of a result node: `<input> <task>`. number: what distinguishes several results, such as the seed."""
        return f"{sourceNode.GetName()} {self.task}"

    def addOutputToScene(self, slot, voxels, matrix, provenance, source, target):
        """Add an output volume to the scene, or fill the target with it. Returns the node."""
        return exchange.addResult(source, voxels, matrix, self.resultName(source), provenance, target)

    # request and answer

    def _checkParameters(self, parameters):
        """A copy of the parameters after a check. Failure for a name or a value that the task does not accept."""
        task = TASKS[self.task]
        requested = {name: parameters[name] for name in task.outputs_on_request() if name in parameters}
        plain = {
            name: "a file" if name == "anatomy" and not isinstance(value, str) else value
            for name, value in parameters.items()
            if (name != "roi" or isinstance(value, str)) and name not in requested
        }
        try:
            split_values(task, plain)[0].check_outputs([name for name, wanted in requested.items() if wanted])
        except ValueError as error:
            raise Failure("usage", str(error), _("Change this setting.")) from None
        return dict(parameters)

    def _write(self, folder, backend, inputs, values, preview, request="run"):
        """Write the job's input files. A generator; its return value is the request."""
        files, first = {}, next(iter(inputs.values()))
        kinds = {slot.name: slot for slot in TASKS[self.task].files}
        for name, node in inputs.items():
            path = folder / f"{name}.nrrd"
            if kinds[name].kind == "ct":
                path = yield from writtenVolume(sharedWorker()).file(node, name, backend.remote)
            else:
                yield from _writeLabels(path, node, first, backend.remote)
            files[name] = inputFile(path, backend.remote)
        requested = {name: values.pop(name, False) for name in TASKS[self.task].outputs_on_request()}
        if request == "run":
            outputs = {
                slot.name: folder / _outputName(slot)
                for slot in kinds.values()
                if slot.output and requested.get(slot.name, True)
            }
            files |= {
                name: path.name if backend.remote else sharedWorker().relativePath(path)
                for name, path in outputs.items()
            }
        values = self.requestParameters({name: value for name, value in values.items() if value not in (None, "")})
        if not isinstance(values.get("anatomy", ""), str):
            path = folder / "anatomy.nrrd"
            yield from _writeLabels(path, values["anatomy"], first, backend.remote)
            values["anatomy"] = inputFile(path, backend.remote)
        if not isinstance(values.get("roi", ""), str):
            values["roi"] = exchange.boxOf(values["roi"])
        message = {"request": request, "task": self.task, "files": files, "parameters": values, "preview": preview}
        message["protocol"] = PROTOCOL
        return message | ({"inline": True} if backend.remote else {"folder": "."})  # the worker's current folder

    def _read(self, event, folder, source, target):
        """Put the outputs into the scene, all or none. A generator; its return value is the list of nodes."""
        outputs, answer = [], {"summary": event.get("summary", ""), "warnings": event["warnings"]}
        for slot in (slot for slot in TASKS[self.task].files if slot.output):
            for path, provenance in outputFiles(event, slot.name, folder) if slot.name in event["files"] else ():
                voxels, matrix = yield from readNrrd(path)
                outputs.append((slot, voxels, matrix, json.loads(provenance) | answer))
        nodes = [self.addOutputToScene(*output, source, target) for output in outputs if not output[0].on_request]
        spreads = [output[1:] for output in outputs if output[0].on_request]
        for output in spreads:
            addUncertaintyOf(nodes[0], *output)
        if not spreads:
            release(nodes[0])
        return nodes


def _outputName(slot):
    """The name of the file that the worker writes an output to."""
    return f"{slot.name}.csv" if slot.kind == "table" else f"{slot.name}-result.nrrd"


class _NodeGuard:
    """Stops a job when one of its nodes is deleted or the scene is closed."""

    def __init__(self, nodes, logic):
        self._names = {node.GetID(): node.GetName() for node in nodes}
        self._logic, scene = logic, slicer.mrmlScene

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(caller, event, node):
            if node.GetID() in self._names and not scene.IsClosing():
                logic.stop(failures.deleted(self._names[node.GetID()]))

        def closing(caller, event):
            logic.stop(failures.sceneClosed())

        self._tags = [
            scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed),
            scene.AddObserver(scene.StartCloseEvent, closing),
        ]

    def stop(self):
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._tags = []


def _withNodeNames(event, inputs):
    """A worker's answer with node names in its warnings in place of file names."""
    return event | {"warnings": [failures.replaceFileNames(sentence, inputs) for sentence in event.get("warnings", ())]}


def _writeLabels(path, labelsNode, volumeNode, remote):
    """Write a segmentation or a label map as NRRD. Generator.

    A segmentation is written on the volume's grid, or on its own if it is itself the first input; a label map on its
    own grid, from which the worker resamples it.
    """
    if labelsNode.IsA("vtkMRMLVolumeNode"):
        grid, labels, names = labelsNode, slicer.util.arrayFromVolume(labelsNode), exchange.namesOfLabels(labelsNode)
    else:
        grid = volumeNode if volumeNode.IsA("vtkMRMLVolumeNode") else exchange.gridOf(volumeNode)
        labels, names = yield from exchange.exportLabels(labelsNode, grid)
    yield from writeNrrd(path, labels, exchange.ijkToRAS(grid), compress=remote, segments=names)
