"""Jobs over pipes: JSON requests in, JSON events out (Docs/worker.md)."""
