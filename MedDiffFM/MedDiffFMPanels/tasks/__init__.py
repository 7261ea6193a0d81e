"""The parts of the panels that differ from task to task."""
