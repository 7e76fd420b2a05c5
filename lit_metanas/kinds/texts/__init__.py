"""Texts: the kind, its tasks and sources, what makes tokens; and the tables of files that all kinds read."""
