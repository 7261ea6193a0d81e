"""The display of results in the slice views."""
