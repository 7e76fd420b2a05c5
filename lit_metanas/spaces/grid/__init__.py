"""The search space of networks for images and other grids, in stages."""

from lit_metanas.spaces.grid.grid_space import GridSpace

__all__ = ["GridSpace"]
