"""How long tests wait for other processes."""

PATIENCE = 600  # seconds; a busy computer takes long to load PyTorch, and only a test that fails waits so long
AT_ONCE = 60  # seconds until what is ended is gone, even there; left alone it would go on for minutes
