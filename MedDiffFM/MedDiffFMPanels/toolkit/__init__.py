"""Small Qt helpers without knowledge of tasks."""
