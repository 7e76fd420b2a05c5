"""The published tables of NAS-Bench-201, as a compact file or as its authors' records, and of NAS-Bench-Graph."""

from __future__ import annotations

import bz2
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from lit_metanas.estimators.tabular import Table
from lit_metanas.io.arrays import LARGEST_PICKLE, read_npz, restricted_load
from lit_metanas.io.files import existing_file, read_regular
from lit_metanas.spaces import Architecture, NASBench201
from lit_metanas.spaces.nas_bench_graph import GRAPH_OPERATIONS, PROTEINS_OPERATIONS, NASBenchGraph

IMAGE_DATASETS = ("cifar10", "cifar100", "ImageNet16-120")  # the data sets, in the order of the file's columns

CELLS = 15625

TRAINING_IMAGES = {
    ("cifar10", "val"): 25_000,
    ("cifar10", "test"): 50_000,
    ("cifar100", "val"): 50_000,
    ("cifar100", "test"): 50_000,
    ("ImageNet16-120", "val"): 151_700,
    ("ImageNet16-120", "test"): 151_700,
}
"""Images an epoch. CIFAR-10's validation scores come from trainings on half of its training images, and its test scores
from trainings on all of them. On the other data sets one training gave both."""


@dataclass(frozen=True)
class CellMeasures:
    """One cell on one data set: mean accuracies in [0, 1] by signal, parameters, and multiply-adds for one input."""

    scores: Mapping[str, float]
    parameters: int
    flops: int


class CellTable(Table):
    """Scores of NAS-Bench-201's cells on one of its data sets, whatever the form of their file."""

    space: NASBench201
    signals = ("val_12", "val_200", "test_12", "test_200")

    def __init__(self, dataset: str) -> None:
        if dataset not in IMAGE_DATASETS:
            raise ValueError(f"NAS-Bench-201 has no data set '{dataset}': use {', '.join(IMAGE_DATASETS)}.")
        self.dataset = dataset
        self.space = NASBench201()

    @abstractmethod
    def read_cell(self, index: int) -> CellMeasures:
        """What is known of the cell of an official index."""

    def score(self, architecture: Architecture, signal: str) -> float:
        """Mean accuracy over the published seeds, in [0, 1]."""
        self.check_signal(signal)
        return self._cell(architecture).scores[signal]

    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the whole network."""
        return self._cell(architecture).parameters

    def flops(self, architecture: Architecture) -> int:
        """Forward multiply-adds for one input."""
        return self._cell(architecture).flops

    def early(self, signal: str) -> str | None:
        """The 12-epoch signal; None for a 12-epoch signal."""
        return {"val_200": "val_12", "test_200": "test_12"}.get(signal)

    def training_flops(self, architecture: Architecture, signal: str) -> int:
        """3 x forward multiply-adds x training images x epochs of one seed."""
        part, _, epochs = signal.partition("_")
        return 3 * self.flops(architecture) * TRAINING_IMAGES[self.dataset, part] * int(epochs)

    def _cell(self, architecture: Architecture) -> CellMeasures:
        return self.read_cell(self.space.to_index(architecture))


class NASBench201Table(CellTable):
    """NAS-Bench-201 (Dong and Yang 2020): every cell trained for 12 and for 200 epochs on three data sets.

    A file of arrays, row = official index, column = data set: ``val_acc_12``, ``val_acc_200``, ``test_acc_12``,
    ``test_acc_200`` (per cent), ``params`` and ``flops_M``. Other arrays are left out.

    Signals are ``val_12``, ``val_200``, ``test_12`` and ``test_200``: the means over the published seeds. A search that
    chooses by a test signal has seen the test data.

    Args:
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        path: the file, ``.npz``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the data set is unknown, or the file is damaged or lacks an array of the right shape.

    Example:
        >>> table = lm.estimators.NASBench201Table("cifar10", "nas_bench_201.npz")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val_200")  # doctest: +SKIP
    """

    def __init__(self, dataset: str, path: str | os.PathLike[str]) -> None:
        super().__init__(dataset)
        arrays = read_arrays(path, ("params", "flops_M", *map(_array_name, self.signals)))
        column = IMAGE_DATASETS.index(dataset)
        self._scores = {signal: arrays[_array_name(signal)][:, column] / 100 for signal in self.signals}
        self._parameters, self._flops = arrays["params"][:, column], arrays["flops_M"][:, column]

    def read_cell(self, index: int) -> CellMeasures:
        """One row of the table."""
        scores = {signal: float(column[index]) for signal, column in self._scores.items()}
        return CellMeasures(scores, int(self._parameters[index]), round(1e6 * float(self._flops[index])))


def read_arrays(path: str | os.PathLike[str], names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read arrays with a row for each cell and a column for each data set, without executing code."""
    fix = (
        "give the path of a NAS-Bench-201 .npz file, or take NATSFiles, which reads the records of "
        "https://github.com/D-X-Y/NATS-Bench as published"
    )
    file = existing_file(path, "table", fix)
    arrays = read_npz(file, "get the table again")
    for name in names:
        if name not in arrays:
            raise ValueError(f"'{file}' lacks the array '{name}': give a NAS-Bench-201 table.")
        found, wanted = arrays[name], (CELLS, len(IMAGE_DATASETS))
        if found.shape != wanted or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
            raise ValueError(f"'{file}' holds no {wanted[0]} x {wanted[1]} finite numbers as '{name}': get it again.")
    return {name: arrays[name] for name in names}


def _array_name(signal: str) -> str:
    return signal.replace("_", "_acc_")


RUNS = {
    "cifar10": {"val": ("cifar10-valid", "x-valid"), "test": ("cifar10", "ori-test")},
    "cifar100": {"val": ("cifar100", "x-valid"), "test": ("cifar100", "x-test")},
    "ImageNet16-120": {"val": ("ImageNet16-120", "x-valid"), "test": ("ImageNet16-120", "x-test")},
}
"""For each data set and part, the published training and the part's name in it."""


class NATSFiles(CellTable):
    """NATS-Bench's topology records (Dong et al. 2021), ``tss_000000.pickle.pbz2`` and so on, as published.

    A record is read when its architecture is first needed, and no code in it is run. The signals and their values are
    those of ``NASBench201Table``.

    Args:
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        folder: the folder of the records: the unpacked ``NATS-tss-v1_0-3ffb9-simple``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the data set is unknown.

    Example:
        >>> table = lm.estimators.NATSFiles("cifar10", "NATS-tss-v1_0-3ffb9-simple")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val_200")  # doctest: +SKIP
    """

    def __init__(self, dataset: str, folder: str | os.PathLike[str]) -> None:
        super().__init__(dataset)
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"There is no folder '{self.folder}': unpack NATS-tss-v1_0-3ffb9-simple.tar from "
                "https://github.com/D-X-Y/NATS-Bench there."
            )
        self._read: dict[int, CellMeasures] = {}

    def read_cell(self, index: int) -> CellMeasures:
        """One record; FileNotFoundError or ValueError if the file is absent, or is no such record."""
        if index not in self._read:
            file = self.folder / f"tss_{index:06d}.pickle.pbz2"
            if not file.is_file():
                raise FileNotFoundError(f"'{self.folder}' lacks '{file.name}': unpack all records there.")
            content = restricted_load(_decompress(file), str(file))
            try:
                self._read[index] = _mean_measures(content, self.dataset)
            except (LookupError, TypeError, ValueError, AttributeError):
                raise ValueError(f"'{file}' is not a NATS-Bench record of '{self.dataset}': get it again.") from None
        return self._read[index]


def _decompress(file: Path) -> bytes:
    """The content of a file with a right checksum, at most as long as a pickle may be."""
    try:
        packed = bz2.BZ2Decompressor()
        content = packed.decompress(read_regular(file, LARGEST_PICKLE), LARGEST_PICKLE + 1)
        if not packed.eof:
            raise EOFError
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"'{file}' is damaged ({type(error).__name__}): get the published file again.") from None
    return content


def _mean_measures(content: Any, dataset: str) -> CellMeasures:
    """Means over the seeds of a record: epochs -> all_results -> (training, seed) -> eval_acc1es -> part@last epoch."""
    scores = {}
    for epochs in (12, 200):
        for part, (training, name) in RUNS[dataset].items():
            results = _of_training(content[str(epochs)]["all_results"], training)
            scores[f"{part}_{epochs}"] = fmean(float(r["eval_acc1es"][f"{name}@{epochs - 1}"]) / 100 for r in results)
    one = _of_training(content["200"]["all_results"], RUNS[dataset]["test"][0])[0]
    return CellMeasures(scores, round(1e6 * float(one["params"])), round(1e6 * float(one["flop"])))


def _of_training(results: Mapping[tuple[str, int], Any], training: str) -> list[Any]:
    return [result for (name, _), result in results.items() if name == training]


GRAPH_DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
"""The data sets; the last has a space of its own."""

FIELDS = {"val": "valid_perf", "test": "perf"}  # the table's name of each signal


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
        self.space = NASBenchGraph({"proteins": PROTEINS_OPERATIONS}.get(dataset, GRAPH_OPERATIONS))
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
