"""Stand-ins for Slicer's number widgets that know the scene's units."""

from __future__ import annotations

from PySide6.QtCore import Property

from .ctk_numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .properties import remembered
from .uiloader import stand_in


class _WithScene:
    def mrmlScene(self):
        return self.__dict__.get("_scene")

    def setMRMLScene(self, scene):
        self.__dict__["_scene"] = scene


@stand_in("Libs/MRML/Widgets/qMRMLSliderWidget.h")
class qMRMLSliderWidget(_WithScene, ctkSliderWidget):
    """qMRMLSliderWidget: a ctkSliderWidget in the scene's unit of `quantity` (units are not shown here)."""

    quantity = remembered(str, "")


@stand_in("Libs/MRML/Widgets/qMRMLRangeWidget.h")
class qMRMLRangeWidget(ctkRangeWidget):
    """qMRMLRangeWidget: a ctkRangeWidget in the scene's unit of `quantity`."""

    quantity = remembered(str, "")

    def setMRMLScene(self, scene):
        self.__dict__["_scene"] = scene

    mrmlScene = Property(object, lambda self: self.__dict__.get("_scene"), setMRMLScene)


@stand_in("Libs/MRML/Widgets/qMRMLSpinBox.h")
class qMRMLSpinBox(_WithScene, ctkDoubleSpinBox):
    """qMRMLSpinBox: a ctkDoubleSpinBox in the scene's unit of `quantity`."""

    quantity = remembered(str, "")
