"""All cells of NAS-Bench-201, in one compact file of arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lit_metanas.estimators.estimator import Measure
from lit_metanas.estimators.tables.tabular import Table
from lit_metanas.io.arrays import read_npz
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


class NASBench201Table(Table):
    """NAS-Bench-201 (Dong and Yang 2020): every cell trained for 12 and for 200 epochs on three data sets.

    A file of arrays, row = official index, column = data set: ``val_acc_12``, ``val_acc_200``, ``test_acc_12``,
    ``test_acc_200`` (per cent), ``params``, ``flops_M``; ``latency_ms`` for each of ``latency_devices`` (HELP; the
    batch size ends the name) and ``hw`` for each of ``hw_metrics`` (HW-NAS-Bench, on the same data set).

    Signals are ``val_12``, ``val_200``, ``test_12`` and ``test_200``: the means over the published seeds. A search
    that chooses by a test signal has seen the test data.

    Args:
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        path: the file, ``.npz``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the data set is unknown, or the file is damaged or lacks an array of the right shape.

    Example:
        >>> import lit_metanas as lm
        >>> table = lm.estimators.NASBench201Table("cifar10", "nas_bench_201.npz")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val_200")  # doctest: +SKIP
    """

    space: NASBench201
    signals = ("val_12", "val_200", "test_12", "test_200")

    def __init__(self, dataset: str, path: str | os.PathLike[str]) -> None:
        self.column = check_dataset(dataset)
        self.dataset = dataset
        self.path = Path(path)
        self.space = NASBench201()
        rows = {name: (CELLS, len(IMAGE_DATASETS)) for name in ("params", "flops_M", *map(_array_name, self.signals))}
        arrays = read_arrays(path, rows)
        self._scores = {signal: arrays[_array_name(signal)][:, self.column] / 100 for signal in self.signals}
        self._parameters = arrays["params"][:, self.column]
        self._flops = arrays["flops_M"][:, self.column]
        self._latency = self._read_latency(path)
        self.devices = tuple(self._latency)

    def _read_latency(self, path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
        """Milliseconds of every cell, by device: HELP's, then HW-NAS-Bench's on this data set."""
        names = read_arrays(path, {"latency_devices": (-1,), "hw_metrics": (-1,)})
        devices, metrics = names["latency_devices"].tolist(), names["hw_metrics"].tolist()
        shapes = {"latency_ms": (CELLS, len(devices)), "hw": (len(IMAGE_DATASETS), CELLS, len(metrics))}
        arrays = read_arrays(path, shapes)
        by_device = {device: arrays["latency_ms"][:, column] for column, device in enumerate(devices)}
        for column, metric in enumerate(metrics):
            if metric.endswith("_latency"):
                by_device.setdefault(metric, arrays["hw"][self.column, :, column])
        return by_device

    def score(self, architecture: Architecture, signal: str) -> float:
        """Mean accuracy over the published seeds, in [0, 1]."""
        self.check_signal(signal)
        return float(self._scores[signal][self.space.to_index(architecture)])

    def early(self, signal: str) -> str | None:
        """The 12-epoch signal; None for a 12-epoch signal."""
        return early_signal(signal)

    def training_flops(self, architecture: Architecture, signal: str) -> int:
        """3 x forward multiply-adds x training images x epochs of one seed."""
        return 3 * self.flops(architecture) * training_images(self.dataset, signal)

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


def check_dataset(dataset: str) -> int:
    """The column of a data set; ValueError if NAS-Bench-201 does not have it."""
    if dataset not in IMAGE_DATASETS:
        raise ValueError(f"NAS-Bench-201 has no data set '{dataset}': use {', '.join(IMAGE_DATASETS)}.")
    return IMAGE_DATASETS.index(dataset)


def early_signal(signal: str) -> str | None:
    """The signal of the same kind after 12 epochs, from trainings with a learning-rate schedule of their own."""
    part, _, epochs = signal.partition("_")
    if epochs == "12":
        return None
    return f"{part}_12"


def training_images(dataset: str, signal: str) -> int:
    """Images that a training for a signal, such as ``val_200``, saw."""
    part, _, epochs = signal.partition("_")
    return TRAINING_IMAGES[dataset, part] * int(epochs)


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
