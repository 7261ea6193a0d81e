"""Offscreen slice and 3D views over the real MRML displayable managers (EGL/llvmpipe; no X server needed)."""

_SLICE_DM = [
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
]
_3D_DM = [
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
]


class _View:
    def __init__(self, slicer, factory, dms, size):
        import vtk

        self.vtk, self.slicer, self.size = vtk, slicer, size
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        f = factory.GetInstance()
        f.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for m in dms:
            if not f.IsDisplayableManagerRegistered(m):
                f.RegisterDisplayableManager(m)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(f, self.renderer)

    def grab(self, path=None):
        vtk = self.vtk
        self.window.Render()
        f = vtk.vtkWindowToImageFilter()
        f.SetInput(self.window)
        f.ReadFrontBufferOff()
        f.Update()
        if path:
            p = vtk.vtkPNGWriter()
            p.SetFileName(str(path))
            p.SetInputConnection(f.GetOutputPort())
            p.Write()
        from vtkmodules.util.numpy_support import vtk_to_numpy

        im = f.GetOutput()
        w, h, _ = im.GetDimensions()
        return vtk_to_numpy(im.GetPointData().GetScalars()).reshape(h, w, -1)[::-1]


class SliceWidget(_View):
    def __init__(self, slicer, name, orientation, size=(400, 400)):
        super().__init__(slicer, slicer.vtkMRMLSliceViewDisplayableManagerFactory, _SLICE_DM, size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        app = slicer.app.applicationLogic()
        L = slicer.vtkMRMLSliceLogic()
        L.SetMRMLApplicationLogic(app)
        L.SetMRMLScene(slicer.mrmlScene)
        app.GetSliceLogics().AddItem(L)
        self._logic = L
        N = L.AddSliceNode(name)
        N.SetOrientation(orientation)
        self.group.SetMRMLDisplayableNode(N)
        L.ResizeSliceNode(*size)
        m = self.vtk.vtkImageMapper()
        m.SetColorWindow(255)
        m.SetColorLevel(127.5)
        self._actor = self.vtk.vtkActor2D()
        self._actor.SetMapper(m)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._actor)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    def grab(self, path=None):
        c = self._logic.GetImageDataConnection()
        self._actor.SetVisibility(c is not None)
        if c is not None:
            self._actor.GetMapper().SetInputConnection(c)
        return super().grab(path)


class ThreeDWidget(_View):
    def __init__(self, slicer, size=(400, 400)):
        super().__init__(slicer, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _3D_DM, size)
        app = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(app)
        app.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.group.SetMRMLDisplayableNode(self.logic.AddViewNode("1"))

    def threeDView(self):
        return self

    def resetFocalPoint(self):
        self.window.Render()
        self.renderer.ResetCamera()

    resetCamera = resetFocalPoint


class LayoutManager:
    """slicer.app.layoutManager(): views are built when first asked for."""

    _ORI = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}

    def __init__(self, slicer):
        self._slicer, self._s, self._t = slicer, {}, None

    def sliceViewNames(self):
        return tuple(self._ORI)

    def sliceWidget(self, name):
        if name not in self._s:
            self._s[name] = SliceWidget(self._slicer, name, self._ORI[name])
        return self._s[name]

    def threeDWidget(self, i=0):
        self._t = self._t or ThreeDWidget(self._slicer)
        return self._t

    threeDViewCount = 1

    def mrmlSliceLogics(self):
        return self._slicer.app.applicationLogic().GetSliceLogics()

    def resetSliceViews(self):
        for w in self._s.values():
            w.fitSliceToBackground()

    def resetThreeDViews(self):
        if self._t:
            self._t.resetFocalPoint()

    layout = 3  # four-up, as Slicer starts

    def setLayout(self, i):
        self.layout = i
