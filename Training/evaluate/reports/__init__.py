"""Tables, the paper's own tables, plots and pictures."""
