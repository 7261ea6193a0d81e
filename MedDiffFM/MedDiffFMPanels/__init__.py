"""The code that the six panels share. It imports slicer, qt and vtk, and of MedDiffFMLib only modules that need
nothing but the standard library.
"""
