"""Checks of trained networks: whether a ControlNet uses its condition, and what few steps cost."""
