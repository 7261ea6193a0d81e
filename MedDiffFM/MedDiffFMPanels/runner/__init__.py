"""Jobs in another process, and the Python that they run in."""
