"""The collapsible sections that panels are made of."""
