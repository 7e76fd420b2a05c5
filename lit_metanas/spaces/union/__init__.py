"""The search space that joins several others."""

from lit_metanas.spaces.union.union_space import UnionSpace

__all__ = ["UnionSpace"]
