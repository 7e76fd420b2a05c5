"""Weight-sharing searches of one task."""
