"""Checks of trained networks: does a ControlNet use its condition, what do few steps cost."""
