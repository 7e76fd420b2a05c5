"""How good predictions of a test part, or of new examples, are: for classes, several labels, and numbers."""
