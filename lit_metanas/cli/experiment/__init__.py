"""Experiments: phases that run one after the other."""
