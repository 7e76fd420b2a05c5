"""The steps of ``auto`` behind the reading of data: budget, preprocessings, limits, search, training, output."""
