"""Task sources of text."""
