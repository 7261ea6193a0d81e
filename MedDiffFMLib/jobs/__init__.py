"""A task on files: inputs, outputs, provenance, resuming."""
