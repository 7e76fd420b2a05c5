"""NAS-Bench-Graph's published tables, one a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any

from lit_metanas.estimators.estimator import Measure
from lit_metanas.estimators.tables.tabular import Table
from lit_metanas.io.arrays import LARGEST_PICKLE, restricted_load
from lit_metanas.io.files import read_regular
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.nas_bench_graph import GRAPH_OPERATIONS, PROTEINS_OPERATIONS, NASBenchGraph

GRAPH_DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
"""The data sets; the last has a space of its own."""

FIELDS = {"val": "valid_perf", "test": "perf"}
"""The table's name of each signal."""


class NASBenchGraphTable(Table):
    """NAS-Bench-Graph (Qin et al. 2022): every network of its space, trained on nine graphs.

    Signals are ``val`` and ``test``: accuracy, or the area under the ROC curve on ``proteins``. The tables come with
    the package ``nas-bench-graph``. Its own reader would run any code in them; here they are read as plain data.

    Args:
        dataset: ``cora``, ``citeseer``, ``pubmed``, ``cs``, ``physics``, ``photo``, ``computers``, ``arxiv``, or
            ``proteins``, whose space has five operations.
        folder: the folder of ``cora.bench`` and the others; None takes the installed package's.

    Raises:
        FileNotFoundError: the table, or the package, is absent.
        ValueError: the data set is unknown, or the table is damaged or not of this space.

    Example:
        >>> table = lm.estimators.NASBenchGraphTable("cora")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val")  # doctest: +SKIP
    """

    space: NASBenchGraph
    signals = tuple(FIELDS)

    def __init__(self, dataset: str, folder: str | os.PathLike[str] | None = None) -> None:
        if dataset not in GRAPH_DATASETS:
            raise ValueError(f"NAS-Bench-Graph has no data set '{dataset}': use {', '.join(GRAPH_DATASETS)}.")
        self.dataset = dataset
        operations = {"proteins": PROTEINS_OPERATIONS}.get(dataset, GRAPH_OPERATIONS)
        self.space = NASBenchGraph(operations)
        if folder is None:
            folder = _installed_folder()
        self.file = Path(folder) / f"{dataset}.bench"
        if not self.file.is_file():
            raise FileNotFoundError(f"There is no table '{self.file}': {INSTALL}")
        try:
            content = read_regular(self.file, LARGEST_PICKLE)
        except ValueError as error:
            raise ValueError(f"'{self.file}' {error}: {INSTALL}") from None
        self._rows = _check_rows(restricted_load(content, str(self.file)), self.file)

    def __len__(self) -> int:
        return len(self._rows)

    def score(self, architecture: Architecture, signal: str) -> float:
        """The published score, in [0, 1]."""
        self.check_signal(signal)
        return float(self._row(architecture)[FIELDS[signal]])

    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the network."""
        return round(1e6 * self._row(architecture)["para"])

    def latency(self, architecture: Architecture) -> float:
        """Measured seconds of one pass, on the device of the table's authors."""
        return float(self._row(architecture)["latency"])

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Parameters and latency."""
        return {"parameters": self.parameters, "latency": self.latency}

    def _row(self, architecture: Architecture) -> Mapping[str, float]:
        key = self.space.key(architecture)
        if key not in self._rows:
            raise ValueError(f"'{self.file}' does not list the architecture {architecture}.")
        return self._rows[key]


INSTALL = "install the package nas-bench-graph, which holds it (pip install 'lit-metanas[graph]')."


def _installed_folder() -> Path:
    """The folder of tables in the installed package, without importing it."""
    found = find_spec("nas_bench_graph")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"NAS-Bench-Graph's tables are not installed: {INSTALL}")
    return Path(found.submodule_search_locations[0]) / "light"


def _check_rows(content: Any, file: Path) -> dict[int, Mapping[str, float]]:
    """The rows by the published hash of their architecture; ValueError if the file holds something else."""
    fields = {*FIELDS.values(), "para", "latency"}
    if not isinstance(content, dict) or not content:
        raise ValueError(f"'{file}' is not a table of NAS-Bench-Graph: {INSTALL}")
    for key, row in content.items():
        values = [row.get(name) for name in fields] if isinstance(row, dict) else [None]
        if not all(isinstance(value, float | int) and isfinite(value) for value in values):
            raise ValueError(f"'{file}' lacks numbers in its row {str(key)[:40]}: {INSTALL}")
    return content
