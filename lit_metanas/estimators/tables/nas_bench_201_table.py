"""NAS-Bench-201's cells: the compact file of arrays, and NATS-Bench's official record files."""

from __future__ import annotations

import bz2
import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from lit_metanas.estimators.estimator import Measure
from lit_metanas.estimators.tables.tabular import Table
from lit_metanas.io.arrays import LARGEST_PICKLE, read_npz, restricted_load
from lit_metanas.io.files import read_regular
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.nas_bench_201.nas_bench_201_space import NASBench201

IMAGE_DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
"""The data sets, in the order of the file's columns."""

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


class CellTable(Table):
    """Scores of NAS-Bench-201's cells on one of its data sets, whatever the form of their file."""

    space: NASBench201
    signals = ("val_12", "val_200", "test_12", "test_200")

    def __init__(self, dataset: str) -> None:
        if dataset not in IMAGE_DATASETS:
            raise ValueError(f"NAS-Bench-201 has no data set '{dataset}': use {', '.join(IMAGE_DATASETS)}.")
        self.dataset = dataset
        self.space = NASBench201()

    def early(self, signal: str) -> str | None:
        """The 12-epoch signal; None for a 12-epoch signal."""
        part, _, epochs = signal.partition("_")
        if epochs == "12":
            return None
        return f"{part}_12"

    def training_flops(self, architecture: Architecture, signal: str) -> int:
        """3 x forward multiply-adds x training images x epochs of one seed."""
        part, _, epochs = signal.partition("_")
        return 3 * self.flops(architecture) * TRAINING_IMAGES[self.dataset, part] * int(epochs)

    def measures(self, device: str | None = None) -> Mapping[str, Measure]:
        """Parameters and flops."""
        self.check_device(device)
        return {"parameters": self.parameters, "flops": self.flops}

    @abstractmethod
    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the whole network."""

    @abstractmethod
    def flops(self, architecture: Architecture) -> int:
        """Forward multiply-adds for one input."""


class NASBench201Table(CellTable):
    """NAS-Bench-201 (Dong and Yang 2020): every cell trained for 12 and for 200 epochs on three data sets.

    A file of arrays, row = official index, column = data set: ``val_acc_12``, ``val_acc_200``, ``test_acc_12``,
    ``test_acc_200`` (per cent), ``params``, ``flops_M``; ``latency_ms`` for each of ``latency_devices`` (HELP; the
    batch size ends the name) and ``hw`` for each of ``hw_metrics`` (HW-NAS-Bench, on the same data set).

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
        self.path = Path(path)
        column = IMAGE_DATASETS.index(dataset)
        rows = {name: (CELLS, len(IMAGE_DATASETS)) for name in ("params", "flops_M", *map(_array_name, self.signals))}
        latencies = {"latency_ms": (CELLS, -1), "hw": (len(IMAGE_DATASETS), CELLS, -1)}
        arrays = read_arrays(path, {**rows, **latencies, "latency_devices": (-1,), "hw_metrics": (-1,)})
        self._scores = {signal: arrays[_array_name(signal)][:, column] / 100 for signal in self.signals}
        self._parameters = arrays["params"][:, column]
        self._flops = arrays["flops_M"][:, column]
        devices, metrics = arrays["latency_devices"].tolist(), arrays["hw_metrics"].tolist()
        milliseconds, hardware = arrays["latency_ms"].T, arrays["hw"][column].T
        if len(milliseconds) != len(devices) or len(hardware) != len(metrics):
            raise ValueError(f"'{path}' holds other numbers of latencies than of devices: get the table again.")
        measured = {name: own for name, own in zip(metrics, hardware, strict=True) if name.endswith("_latency")}
        self._latency = {**measured, **dict(zip(devices, milliseconds, strict=True))}
        self.devices = (*devices, *(name for name in measured if name not in devices))

    def score(self, architecture: Architecture, signal: str) -> float:
        """Mean accuracy over the published seeds, in [0, 1]."""
        self.check_signal(signal)
        return float(self._scores[signal][self.space.to_index(architecture)])

    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the whole network."""
        return int(self._parameters[self.space.to_index(architecture)])

    def flops(self, architecture: Architecture) -> int:
        """Forward multiply-adds for one input."""
        return round(1e6 * float(self._flops[self.space.to_index(architecture)]))

    def latency(self, architecture: Architecture, device: str) -> float:
        """Measured seconds of one pass of a batch on one of ``devices``."""
        return float(self._latency[device][self.space.to_index(architecture)]) / 1000

    def measures(self, device: str | None = None) -> Mapping[str, Measure]:
        """Parameters and flops; the latency on a device, if one is given."""
        self.check_device(device)
        known: dict[str, Measure] = {"parameters": self.parameters, "flops": self.flops}
        if device is not None:
            known["latency"] = partial(self.latency, device=device)
        return known


def read_arrays(path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray[Any, Any]]:
    """Read arrays of known shapes (-1 is any length) from an ``.npz``, without executing code: numbers, or texts."""
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no table '{file}': give the path of a NAS-Bench-201 .npz file, or take NATSFiles, which reads "
            "the records of https://github.com/D-X-Y/NATS-Bench as published."
        )
    arrays = read_npz(file, "get the table again")
    for name, shape in shapes.items():
        if name not in arrays:
            raise ValueError(f"'{file}' lacks the array '{name}': give a NAS-Bench-201 table.")
        found = arrays[name].shape
        if len(found) != len(shape) or any(want not in (-1, have) for want, have in zip(shape, found, strict=True)):
            wanted = " x ".join(map(str, shape)).replace("-1", "any")
            raise ValueError(f"'{file}' holds '{name}' of shape {found} instead of {wanted}: get the table again.")
        if shape == (-1,):
            right, kind = arrays[name].dtype.kind == "U", "texts"
        else:
            right, kind = arrays[name].dtype.kind in "biuf" and np.isfinite(arrays[name]).all(), "finite numbers"
        if not right:
            raise ValueError(f"'{file}' holds '{name}' of another kind than {kind}: get the table again.")
    return {name: arrays[name] for name in shapes}


def _array_name(signal: str) -> str:
    part, _, epochs = signal.partition("_")
    return f"{part}_acc_{epochs}"


RUNS = {
    "cifar10": {"val": ("cifar10-valid", "x-valid"), "test": ("cifar10", "ori-test")},
    "cifar100": {"val": ("cifar100", "x-valid"), "test": ("cifar100", "x-test")},
    "ImageNet16-120": {"val": ("ImageNet16-120", "x-valid"), "test": ("ImageNet16-120", "x-test")},
}
"""For each data set and part, the published training and the part's name in it."""


@dataclass(frozen=True)
class NATSMeasures:
    """One record on one data set: mean accuracies in [0, 1] by signal, parameters, and multiply-adds for one input."""

    scores: dict[str, float]
    parameters: int
    flops: int


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
        self._read: dict[int, NATSMeasures] = {}

    def read_measures(self, architecture: Architecture) -> NATSMeasures:
        """The architecture's record; FileNotFoundError or ValueError if the file is absent, or is no such record."""
        index = self.space.to_index(architecture)
        if index not in self._read:
            file = self.folder / f"tss_{index:06d}.pickle.pbz2"
            if not file.is_file():
                raise FileNotFoundError(
                    f"'{self.folder}' lacks '{file.name}', the record of {architecture}: unpack all records there."
                )
            content = restricted_load(_decompress(file), str(file))
            try:
                self._read[index] = _mean_measures(content, self.dataset)
            except (LookupError, TypeError, ValueError, AttributeError):
                raise ValueError(f"'{file}' is not a NATS-Bench record of '{self.dataset}': get it again.") from None
        return self._read[index]

    def score(self, architecture: Architecture, signal: str) -> float:
        """Mean accuracy over the record's seeds, in [0, 1]."""
        self.check_signal(signal)
        return self.read_measures(architecture).scores[signal]

    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the whole network."""
        return self.read_measures(architecture).parameters

    def flops(self, architecture: Architecture) -> int:
        """Forward multiply-adds for one input."""
        return self.read_measures(architecture).flops


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


def _mean_measures(content: Any, dataset: str) -> NATSMeasures:
    """Means over the seeds of a record: epochs -> all_results -> (training, seed) -> eval_acc1es -> part@last epoch."""
    scores = {}
    for epochs in (12, 200):
        for part, (training, name) in RUNS[dataset].items():
            results = _of_training(content[str(epochs)]["all_results"], training)
            scores[f"{part}_{epochs}"] = fmean(float(r["eval_acc1es"][f"{name}@{epochs - 1}"]) / 100 for r in results)
    one = _of_training(content["200"]["all_results"], RUNS[dataset]["test"][0])[0]
    return NATSMeasures(scores, round(1e6 * float(one["params"])), round(1e6 * float(one["flop"])))


def _of_training(results: Mapping[tuple[str, int], Any], training: str) -> list[Any]:
    return [result for (name, _), result in results.items() if name == training]
