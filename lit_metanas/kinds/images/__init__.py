"""Images: tasks of them, and sources to draw from."""
