"""Translation: from an input to a text."""
