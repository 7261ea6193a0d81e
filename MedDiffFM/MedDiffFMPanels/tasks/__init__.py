"""What is special to each task's panel."""
