"""A cost model of time: the seconds of a training step of any architecture."""
