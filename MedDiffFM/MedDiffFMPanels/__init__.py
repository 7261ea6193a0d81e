"""What the six panels share. Imports slicer, qt and vtk; of MedDiffFMLib only what needs the standard library."""
