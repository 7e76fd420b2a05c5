"""The search space that joins several others."""

from lit_metanas.spaces.union.union_space import UnionSpace, in_family

__all__ = ["UnionSpace", "in_family"]
