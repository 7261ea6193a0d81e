"""MedDiff-FM: one diffusion foundation model of CT, six tasks. Importing this needs only the standard library."""

__version__ = "0.1.0"
