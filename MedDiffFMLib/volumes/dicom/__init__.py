"""CT series and multi-frame files in DICOM: found, checked, read, written."""
