"""Windows of their own: models, set-up."""
