"""NAS-Bench-101's official files: every cell trained several times."""

from __future__ import annotations

import base64
import math
import os
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lit_metanas.estimators.estimator import Measure
from lit_metanas.estimators.tables.tabular import Table
from lit_metanas.io.json_files import parse_json
from lit_metanas.io.tfrecord import fields, read_tfrecords
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.nas_bench_101.nas_bench_101_space import NASBench101

TABLE_101_ADDRESS = "https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord"

DATASET = "cifar10"
"""The data set of all trainings."""

CIFAR_10_TRAINING_IMAGES = 40_000
"""Training images an epoch; CIFAR-10's other 10,000 training images give the validation scores."""

EVALUATION_DATA, TRAINABLE_PARAMETERS = 1, 2
"""Fields of the published message ``ModelMetrics``."""
VALIDATION_ACCURACY, TEST_ACCURACY = 4, 5
"""Fields of its ``EvaluationData``."""

PUBLISHED_EPOCHS = (4, 12, 36, 108)
"""Lengths of the trainings."""

EVALUATIONS = 3
"""Each training has an evaluation before it, in its middle and at its end."""

SUMS = 3
"""Sums over a cell's trainings of the same length: their number, and two columns."""

MEAN_COLUMNS = {"val": 0, "test": 1}
"""Columns of the means."""

CHECKED = 100
"""Number of cells whose hash is checked; to check all would take as long as the reading."""


class Training(NamedTuple):
    """One training of a cell."""

    hash: str
    epochs: int
    parameters: int
    val: float
    test: float


class NASBench101Table(Table):
    """NAS-Bench-101 (Ying et al. 2019): every cell trained three times for 108 epochs on CIFAR-10.

    The file ``nasbench_only108.tfrecord`` holds these trainings. ``nasbench_full.tfrecord`` also has trainings for 4,
    12 and 36 epochs, each with its own learning-rate schedule. Signals are ``val_108``, ``test_108`` and so on, for the
    epochs of the file: the means over the trainings. Reading takes a minute or several.

    Args:
        dataset: ``cifar10``, the only one.
        path: the file, as published.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the data set is another one, or the file is damaged or not a table of NAS-Bench-101.

    Example:
        >>> table = lm.estimators.NASBench101Table("cifar10", "nasbench_only108.tfrecord")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val_108")  # doctest: +SKIP
    """

    space: NASBench101

    def __init__(self, dataset: str, path: str | os.PathLike[str]) -> None:
        if dataset != DATASET:
            raise ValueError(f"NAS-Bench-101 has no data set '{dataset}': use {DATASET}.")
        self.dataset = dataset
        self.space = NASBench101()
        self.file = Path(path)
        self._rows: dict[str, int] = {}
        parameters: list[int] = []
        sums: dict[int, array[float]] = {}  # by epochs, for each row: trainings, val, test
        for record in read_tfrecords(self.file, TABLE_101_ADDRESS):
            one = self._training(record)
            row = self._rows.setdefault(one.hash, len(self._rows))
            if row == len(parameters):
                parameters.append(one.parameters)
            table = sums.setdefault(one.epochs, array("d"))
            table.extend([0.0] * (SUMS * (row + 1) - len(table)))
            for place, value in enumerate((1.0, one.val, one.test), start=SUMS * row):
                table[place] += value
        if not self._rows:
            raise ValueError(f"'{self.file}' holds no records: get it again from {TABLE_101_ADDRESS}.")
        self._parameters = np.array(parameters)
        self._means = {epochs: _means(np.array(sums[epochs]).reshape(-1, SUMS)) for epochs in sorted(sums)}
        self.epochs = tuple(self._means)
        self.signals = tuple(f"{part}_{epochs}" for part in ("val", "test") for epochs in self.epochs)

    def __len__(self) -> int:
        return len(self._rows)

    def score(self, architecture: Architecture, signal: str) -> float:
        """Mean accuracy over the published trainings, in [0, 1]."""
        self.check_signal(signal)
        part, _, epochs = signal.partition("_")
        means, row, column = self._means[int(epochs)], self._row(architecture), MEAN_COLUMNS[part]
        if row >= len(means) or math.isnan(means[row, column]):
            raise ValueError(f"'{self.file}' has no training for {epochs} epochs of the cell {architecture}.")
        return float(means[row, column])

    def early(self, signal: str) -> str | None:
        """The signal of the same kind after the next shorter training that the file has."""
        part, _, epochs = signal.partition("_")
        shorter = [known for known in self.epochs if known < int(epochs)]
        return f"{part}_{shorter[-1]}" if shorter else None

    def training_flops(self, architecture: Architecture, signal: str) -> int:
        """3 x forward multiply-adds x training images x epochs of one training."""
        return 3 * self.flops(architecture) * CIFAR_10_TRAINING_IMAGES * int(signal.partition("_")[2])

    def parameters(self, architecture: Architecture) -> int:
        """Trainable parameters of the whole network."""
        return int(self._parameters[self._row(architecture)])

    def flops(self, architecture: Architecture) -> int:
        """Forward multiply-adds for one image, counted, because the file has none."""
        return self.space.cost(architecture, (3, 32, 32), 10).flops

    def measures(self, device: str | None = None) -> Mapping[str, Measure]:
        """Parameters and flops."""
        self.check_device(device)
        return {"parameters": self.parameters, "flops": self.flops}

    def _row(self, architecture: Architecture) -> int:
        row = self._rows.get(self.space.hash(architecture))
        if row is None:
            missing = f"'{self.file}' does not list the cell {architecture}"
            if reason := self.space.violation(architecture):
                missing = f"{missing}: {reason}"
            raise ValueError(f"{missing}.")
        return row

    def _training(self, record: bytes) -> Training:
        """A record, which is a JSON list of hash, epochs, matrix, operations, and metrics in base 64."""
        try:
            module_hash, epochs, matrix, operations, metrics = parse_json(record)
            if module_hash not in self._rows and len(self._rows) < CHECKED:
                self._check(module_hash, matrix, operations.split(","))
            evaluations, parameters = [], 0
            for number, value in fields(base64.b64decode(metrics, validate=True)):
                if number == EVALUATION_DATA and isinstance(value, bytes):
                    evaluations.append(value)
                elif number == TRAINABLE_PARAMETERS and isinstance(value, int):
                    parameters = value
            last = dict(fields(evaluations[EVALUATIONS - 1]))
            val, test = float(last[VALIDATION_ACCURACY]), float(last[TEST_ACCURACY])
            known = isinstance(module_hash, str) and type(epochs) is int and epochs in PUBLISHED_EPOCHS
            if not known or not 0 <= val <= 1 or not 0 <= test <= 1 or not 0 <= parameters < 2**63:
                raise ValueError("a value is out of range")
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise ValueError(
                f"'{self.file}' is not a table of NAS-Bench-101: get it from {TABLE_101_ADDRESS}."
            ) from None
        return Training(module_hash, epochs, parameters, val, test)

    def _check(self, module_hash: str, matrix: str, operations: list[str]) -> None:
        """Compare a hash with that of its matrix, written row by row in digits, and operations."""
        size = len(operations)
        rows = [[int(digit) for digit in matrix[begin : begin + size]] for begin in range(0, len(matrix), size)]
        if self.space.hash(self.space.from_matrix(rows, operations)) != module_hash:
            raise ValueError("the hash is another cell's")


def _means(sums: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Validation and test accuracy of each row; NaN if there was no training."""
    trainings = np.where(sums[:, :1] == 0, np.nan, sums[:, :1])
    return sums[:, 1:] / trainings
