"""One evaluation a task."""
