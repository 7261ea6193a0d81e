"""slicer.app.layoutManager(): offscreen slice and 3D views over the real displayable managers (EGL, no X server)."""

from __future__ import annotations

from PySide6 import QtCore
from PySide6.QtCore import Property, Signal

from .errors import NotInSlicer
from .uiloader import stand_in

SLICE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
THREED_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)
ORIENTATIONS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class _View:
    """What slice and 3D views share: a window, an interactor and a group of displayable managers."""

    def __init__(self, slicer, factory, managers, size):
        import vtk

        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyle())  # the default one takes the mouse from Slicer's
        self.interactor.Initialize()
        factory = factory.GetInstance()
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def __getattr__(self, name):
        raise NotInSlicer(f"{type(self).__name__} has no {name}")

    def renderWindow(self):
        return self.window

    def scheduleRender(self):
        pass

    def forceRender(self):
        self.window.Render()

    def resize_to(self, width, height):
        """(The harness's own.) So many pixels, as when the user resizes the application."""
        self.window.SetSize(width, height)

    def grab(self):
        """(The harness's own.) The picture as an array (rows from the top, columns, RGB), 0 to 255."""
        import vtk
        from vtkmodules.util.numpy_support import vtk_to_numpy

        self.window.Render()
        capture = vtk.vtkWindowToImageFilter()
        capture.SetInput(self.window)
        capture.ReadFrontBufferOff()
        capture.Update()
        image = capture.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1]


class qMRMLSliceWidget(_View):
    """qMRMLSliceWidget with its qMRMLSliceView and controller in one (Libs/MRML/Widgets/qMRMLSliceWidget.h)."""

    def __init__(self, slicer, name, orientation, size=(400, 400)):
        import vtk

        super().__init__(slicer, slicer.vtkMRMLSliceViewDisplayableManagerFactory, SLICE_MANAGERS, size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        application = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        application.GetSliceLogics().AddItem(self._logic)
        node = self._logic.AddSliceNode(name)
        node.SetOrientation(orientation)
        self.group.SetMRMLDisplayableNode(node)
        self._logic.ResizeSliceNode(*size)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self._logic)
        self._style.SetDisplayableManagers(self.group)
        self._style.SetInteractor(self.interactor)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._picture = vtk.vtkActor2D()
        self._picture.SetMapper(mapper)
        self._picture.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._picture)

    def resize_to(self, width, height):
        super().resize_to(width, height)
        self._logic.ResizeSliceNode(width, height)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self

    def sliceController(self):
        return self

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    def setSliceVisible(self, visible):
        self.mrmlSliceNode().SetSliceVisible(visible)

    def interactorStyle(self):
        return self._style

    def position_of(self, ras) -> tuple[int, int]:
        """(The harness's own.) The pixel (from the lower left) that shows a world position."""
        import vtk

        to_view = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), to_view)
        x, y, _, _ = to_view.MultiplyPoint((*ras, 1.0))
        return round(x), round(y)

    def grab(self):
        image = self._logic.GetImageDataConnection()
        self._picture.SetVisibility(image is not None)
        if image is not None:
            self._picture.GetMapper().SetInputConnection(image)
        return super().grab()


class qMRMLThreeDWidget(_View):
    """qMRMLThreeDWidget with its qMRMLThreeDView and controller in one (Libs/MRML/Widgets/qMRMLThreeDWidget.h)."""

    def __init__(self, slicer, size=(400, 400)):
        super().__init__(slicer, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, THREED_MANAGERS, size)
        application = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(application)
        application.GetViewLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._node = self._logic.AddViewNode("1")
        self.group.SetMRMLDisplayableNode(self._node)

    def viewLogic(self):
        return self._logic

    def mrmlViewNode(self):
        return self._node

    def threeDView(self):
        return self

    def threeDController(self):
        return self

    def resetFocalPoint(self):
        self.window.Render()
        self.renderer.ResetCamera()

    def resetCamera(self, rotation=True, translation=True, distance=True):
        self.resetFocalPoint()


@stand_in("Libs/MRML/Widgets/qMRMLLayoutManager.h, Base/QTGUI/qSlicerLayoutManager.h")
class LayoutManager(QtCore.QObject):
    """qSlicerLayoutManager: Red, Yellow, Green and one 3D view whatever the layout, each built when first asked for."""

    layoutChanged = Signal(int)

    def __init__(self, slicer):
        super().__init__()
        self._slicer, self._slices, self._threed = slicer, {}, None
        node = slicer.vtkMRMLLayoutNode
        names = [name for name in dir(node) if name.startswith("SlicerLayout")]
        self._known = {value for value in (getattr(node, name) for name in names) if isinstance(value, int)}
        self._layout = node.SlicerLayoutFourUpView

    def sliceViewNames(self):
        return tuple(ORIENTATIONS)

    def sliceWidget(self, name):
        if name not in ORIENTATIONS:
            return None
        if name not in self._slices:
            self._slices[name] = qMRMLSliceWidget(self._slicer, name, ORIENTATIONS[name])
        return self._slices[name]

    def threeDWidget(self, index=0):
        if self._threed is None:
            self._threed = qMRMLThreeDWidget(self._slicer)
        return self._threed

    def setLayout(self, layout):
        if layout not in self._known:
            raise NotInSlicer(f"vtkMRMLLayoutNode has no layout {layout}")
        if layout != self._layout:
            self._layout = layout
            self.layoutChanged.emit(layout)

    def mrmlScene(self):
        return self._slicer.mrmlScene

    def mrmlSliceLogics(self):
        return self._slicer.app.applicationLogic().GetSliceLogics()

    def mrmlViewLogics(self):
        return self._slicer.app.applicationLogic().GetViewLogics()

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        if self._threed is not None:
            self._threed.resetFocalPoint()

    layout = Property(int, lambda self: self._layout, setLayout)
    threeDViewCount = Property(int, lambda self: 1)
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, lambda self: 0)
