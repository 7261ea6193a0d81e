"""slicer.app: qSlicerApplication over slicer-core's real application logic."""

from __future__ import annotations

import os
import tempfile
import types
from typing import ClassVar

from PySide6 import QtCore
from PySide6.QtCore import Property, Signal

from .errors import NotInSlicer
from .files import CoreIOManager
from .modules import ModuleManager
from .properties import remembered
from .uiloader import stand_in

dicom = types.SimpleNamespace(database=None)  # as long as the DICOM module has opened none


@stand_in("Base/QTGUI/qSlicerApplication.h, Base/QTCore/qSlicerCoreApplication.h")
class qSlicerApplication(QtCore.QObject):
    """qSlicerApplication and qSlicerCoreApplication. Not in testing mode by default, so that the panels' message boxes
    and installations take the way they take for a user; harness.dialogs and harness.packages answer them."""

    startupCompleted = Signal()
    aboutToQuit = Signal()
    mrmlSceneChanged = Signal(object)
    signatures: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, scene, logic, qt_application):
        super().__init__()
        self._scene, self._logic, self._qt = scene, logic, qt_application
        self._io, self._modules = CoreIOManager(), ModuleManager()
        self._folder = tempfile.mkdtemp(prefix="slicer-harness-")
        self._testing, self._layout, self._window = False, None, None
        self._extensions = ExtensionsManagerModel()

    temporaryPath = Property(str, lambda self: self._folder)
    cachePath = Property(str, lambda self: os.path.join(self._folder, "cache"))
    slicerHome = Property(str, lambda self: self._folder)
    slicerUserSettingsFilePath = Property(str, lambda self: os.path.join(self._folder, "Slicer.ini"))
    applicationName = Property(str, lambda self: "Slicer")
    applicationVersion = Property(str, lambda self: "5.13.0")
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 13)
    revision = Property(str, lambda self: "0")

    def mrmlScene(self):
        return self._scene

    def applicationLogic(self):
        return self._logic

    def coreIOManager(self):
        return self._io

    ioManager = coreIOManager

    def layoutManager(self):
        """None without a main window: harness.without_main_window()."""
        return self._layout

    def moduleManager(self):
        return self._modules

    def extensionsManagerModel(self):
        return self._extensions

    def dicomDatabase(self):
        return dicom.database

    def processEvents(self, *_):
        self._qt.processEvents()

    def pauseRender(self):
        pass

    def resumeRender(self):
        pass

    def setRenderPaused(self, paused):
        pass

    def setOverrideCursor(self, cursor):
        self._qt.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        self._qt.restoreOverrideCursor()

    def overrideCursor(self):
        return self._qt.overrideCursor()

    def translate(self, context, text):
        return text

    def settings(self):
        import qt

        return qt.QSettings(self.slicerUserSettingsFilePath, qt.QSettings.IniFormat)

    userSettings = settings

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def topLevelWidgets(self):
        return tuple(self._qt.topLevelWidgets())

    def clipboard(self):
        return self._qt.clipboard()

    def testingEnabled(self):
        return self._testing

    def commandOptions(self):
        return types.SimpleNamespace(testingEnabled=self._testing, noMainWindow=self._layout is None)

    def openExtensionsManagerDialog(self):
        raise NotInSlicer("slicer.app.openExtensionsManagerDialog is not in the harness")


class DicomDatabase(QtCore.QObject):
    """ctkDICOMDatabase, as far as it tells values: texts by (instance UID, "group,element"), empty for unknown ones."""

    def __init__(self, values, opened=True):
        super().__init__()
        self._values, self._opened = values, opened

    isOpen = Property(bool, lambda self: self._opened)

    def instanceValue(self, uid, tag):
        if not self._opened:
            raise RuntimeError("the database is closed")
        return self._values.get((uid, tag), "")


@stand_in("Base/QTCore/qSlicerExtensionsManagerModel.h")
class ExtensionsManagerModel(QtCore.QObject):
    """qSlicerExtensionsManagerModel: nothing is installed until a test says so by installExtensionFromServer()."""

    extensionInstalled = Signal(str)

    def __init__(self):
        super().__init__()
        self._installed = set()

    def isExtensionInstalled(self, name):
        return name in self._installed

    def installExtensionFromServer(self, name, restart=True, update=True):
        self._installed.add(name)
        self.extensionInstalled.emit(name)
        return True

    def updateExtensionsMetadataFromServer(self, force=False, wait=False):
        return True

    interactive = remembered(bool, True)
