"""One task a file, as a plan that can be estimated and run (`plan`), and what the tasks share."""
