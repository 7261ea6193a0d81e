"""A model on disk and in memory: find, verify, load, save."""
