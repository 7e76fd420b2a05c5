"""Searches behind scikit-learn's interface."""
