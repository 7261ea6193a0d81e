"""Stand-ins for slicer.ScriptedLoadableModule's four base classes (their documented behaviour, written anew)."""

import importlib
import os
import unittest

import slicer


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        return ""

    def runTest(self, msec=100, **kw):
        t = getattr(importlib.import_module(type(self).__module__), self.moduleName + "Test")()
        t.runTest(**kw)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def enter(self):
        pass

    def exit(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        n = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        return n or self.createParameterNode()

    def createParameterNode(self):
        n = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        n.UnRegister(None)
        n.SetSingletonTag(self.moduleName)
        n.SetModuleName(self.moduleName)
        n.SetAttribute("ModuleName", self.moduleName)
        n.SetName(self.moduleName)
        return slicer.mrmlScene.AddNode(n)


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *a):
        super().__init__(*(a or ("runTest",)))

    def runTest(self):
        pass

    def delayDisplay(self, message, msec=100):
        slicer.app.processEvents()
