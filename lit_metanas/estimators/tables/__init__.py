"""Tabular benchmarks."""
