"""Sounds: tasks of recordings, and sources of speech."""
