"""Files: atomic writes, locks, arrays, checkpoints."""
