"""NATS-Bench's official record files, one an architecture."""

from __future__ import annotations

import bz2
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from lit_metanas.estimators.estimator import Measure
from lit_metanas.estimators.tables.nas_bench_201_table import check_dataset, early_signal, training_images
from lit_metanas.estimators.tables.tabular import Table
from lit_metanas.io.arrays import LARGEST_PICKLE, restricted_load
from lit_metanas.io.files import read_regular
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.nas_bench_201.nas_bench_201_space import NASBench201

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


class NATSFiles(Table):
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
        >>> import lit_metanas as lm
        >>> table = lm.estimators.NATSFiles("cifar10", "NATS-tss-v1_0-3ffb9-simple")  # doctest: +SKIP
        >>> estimator = lm.estimators.TabularEstimator(table, "val_200")  # doctest: +SKIP
    """

    space: NASBench201
    signals = ("val_12", "val_200", "test_12", "test_200")

    def __init__(self, dataset: str, folder: str | os.PathLike[str]) -> None:
        check_dataset(dataset)
        self.dataset = dataset
        self.space = NASBench201()
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"There is no folder '{self.folder}': unpack NATS-tss-v1_0-3ffb9-simple.tar from "
                "https://github.com/D-X-Y/NATS-Bench there."
            )
        self._read: dict[int, NATSMeasures] = {}

    def read_measures(self, architecture: Architecture) -> NATSMeasures:
        """The architecture's record.

        Raises:
            FileNotFoundError: the folder lacks it.
            ValueError: it is damaged, or holds more than plain data.
        """
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

    def early(self, signal: str) -> str | None:
        """The 12-epoch signal; None for a 12-epoch signal."""
        return early_signal(signal)

    def training_flops(self, architecture: Architecture, signal: str) -> int:
        """3 x forward multiply-adds x training images x epochs of one seed."""
        return 3 * self.flops(architecture) * training_images(self.dataset, signal)

    def parameters(self, architecture: Architecture) -> int:
        """Parameters of the whole network."""
        return self.read_measures(architecture).parameters

    def flops(self, architecture: Architecture) -> int:
        """Forward multiply-adds for one input."""
        return self.read_measures(architecture).flops

    def measures(self, device: str | None = None) -> Mapping[str, Measure]:
        """Parameters and flops."""
        self.check_device(device)
        return {"parameters": self.parameters, "flops": self.flops}


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
