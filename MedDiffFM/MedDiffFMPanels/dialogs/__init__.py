"""The dialogs of the panels: models and set-up."""
