"""The noise estimate ε of a whole volume, computed in tiles."""
