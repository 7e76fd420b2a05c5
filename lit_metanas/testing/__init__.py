"""Checks for search spaces of one's own, in the manner of scikit-learn's ``check_estimator``."""

from lit_metanas.testing.space_check import check_space

__all__ = ["check_space"]
