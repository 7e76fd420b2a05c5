"""Every kind of file that is read: how a good one is made, and what reads it."""

import bz2
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from lit_metanas.callbacks.probability_history import Moment, ProbabilityHistory
from lit_metanas.estimators import NASBench201Table, NASBenchGraphTable, NATSFiles
from lit_metanas.io.checkpoints import check_checkpoint, load_plain, read_weights, write_weights
from lit_metanas.kinds import Omniglot
from lit_metanas.kinds.images.image_files import read_image
from lit_metanas.records import (
    ArchitectureRow,
    Cost,
    Protocol,
    ResultRow,
    SearchRecord,
    TaskScores,
    Trial,
    read_architectures,
    read_record_lines,
    read_results,
    write_architectures,
    write_record_lines,
    write_results,
)
from lit_metanas.searchers.query.study import open_storage, open_study, quiet_optuna
from lit_metanas.spaces import Architecture, Choice, ChoiceSpace, OneHotEncoding
from lit_metanas.surrogates.gaussian_process import GaussianProcess, GroupedKernel
from lit_metanas.surrogates.meta_surrogate import SURROGATE_KEY, read_surrogate, surrogate_entry
from lit_metanas.surrogates.transfer import TransferSurrogate, fit_source
from lit_metanas.training.meta_weights import MetaCheckpoint, write_meta_checkpoint

LABELS = Architecture({"a": "1"})


class Hostile:
    """Makes a folder where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: of the file.
        write: makes a good one.
        read: reads it; what it gives is compared after a bit was flipped.
        summed: whether the format has checksums, so that no flip goes unseen.
    """

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    summed: bool = False


def a_result() -> ResultRow:
    protocol = Protocol("target", 10, 100, "running")
    return ResultRow("darts", "t", "Tiny", LABELS, {}, 1, protocol, 0.5, 0.01, Cost(flops=5), Cost(), 3, 4)


def write_checkpoint(path: Path) -> None:
    state = {"weight": torch.arange(300.0)}
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.6.0", "epoch": 0}, path)


def read_checkpoint(path: Path) -> object:
    check_checkpoint(path)
    return load_plain(path)


def write_meta(path: Path) -> None:
    weights, logits = {"w": torch.arange(300.0)}, {"a": torch.zeros(2)}
    parts = {"weights": weights, "logits": logits, "labels": {"a": ["1", "2"]}, "statistics": {}}
    write_meta_checkpoint(path, MetaCheckpoint(**parts, shape=(1, 8, 8), cost=Cost()))


def read_meta(path: Path) -> object:
    found = MetaCheckpoint.read(path)
    return found.weights, found.logits, found.labels, found.shape, found.cost


def write_history(path: Path) -> None:
    ProbabilityHistory({"a": ["1", "2"]}, [Moment(1, 0.5, {"a": [0.5, 0.5]})]).write(path)


def write_image(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (28, 28), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_omniglot(path: Path) -> None:
    np.savez(
        path,
        images_u4=np.zeros((4, 392), np.uint8),
        char_index=np.array([0, 0, 1, 1]),
        char_alphabet=np.array([0, 1]),
        char_number=np.array([1, 1]),
        char_split=np.array([0, 1]),
        alphabet_names=np.array(["Korean", "Gurmukhi"]),
        split_names=np.array(["background", "evaluation"]),
    )


def read_omniglot(path: Path) -> object:
    source = Omniglot(str(path), validation_alphabets=("Korean",))
    names = source.classes("test")
    return names, source.inputs("test", 0, range(source.instances("test", 0))) if names else None


def write_table(path: Path) -> None:
    scores = {f"{part}_acc_{epochs}": np.ones((15625, 3), "u1") for part in ("val", "test") for epochs in (12, 200)}
    np.savez_compressed(path, **scores, params=np.ones((15625, 3), "u1"), flops_M=np.ones((15625, 3), "u1"))


def read_table(path: Path) -> object:
    table = NASBench201Table("cifar10", path)
    architecture = table.space.from_index(3)
    return table.score(architecture, "val_12"), table.parameters(architecture)


def write_nats(path: Path) -> None:
    parts = {"cifar10-valid": ("x-valid",), "cifar10": ("ori-test",)}
    record = {}
    for epochs in (12, 200):
        scores = {part: {f"{name}@{epochs - 1}": 50.0 for name in names} for part, names in parts.items()}
        sizes = {"params": np.float64(0.07), "flop": 7.5}
        results = {(part, 777): {**sizes, "eval_acc1es": own} for part, own in scores.items()}
        record[str(epochs)] = {"all_results": results}
    path.write_bytes(bz2.compress(pickle.dumps(record, protocol=4)))


def read_nats(path: Path) -> object:
    return NATSFiles("cifar10", path.parent).read_cell(3)


def write_graph(path: Path) -> None:
    row = {"valid_perf": 0.5, "perf": 0.25, "latency": 0.1, "para": 0.5}
    path.write_bytes(pickle.dumps({81072: row}))


def read_graph(path: Path) -> object:
    return len(NASBenchGraphTable("cora", path.parent))


class Letters(ChoiceSpace):
    """Three choices of three letters."""

    choices = tuple(Choice(name, tuple("abc")) for name in "xyz")


ENCODING = OneHotEncoding(Letters())


def write_surrogate_of_letters(path: Path) -> None:
    """What is learned of one task with ten scored architectures."""
    architectures = tuple(ENCODING.candidates.architectures)[:10]
    features, scores = ENCODING(architectures), torch.arange(10.0, dtype=torch.float64)
    task = TaskScores("t", features, scores, architectures)
    kernel = GroupedKernel.of(ENCODING.candidates.features, ENCODING.groups)
    source = fit_source(task, kernel, ENCODING.candidates.features)
    entry = surrogate_entry(ENCODING, TransferSurrogate(kernel, [source], source.parameters))
    torch.save({SURROGATE_KEY: entry}, path)


def read_surrogate_of_letters(path: Path) -> object:
    """Reads it, and predicts with it as a search does."""
    surrogate = read_surrogate(path, ENCODING)
    features = ENCODING.candidates.features
    own = GaussianProcess(surrogate.kernel, surrogate.prior.mean, features[:4], torch.arange(4.0))(features)
    elites = [source.elite for source in surrogate.sources]
    return own.mean, own.deviation, surrogate.source_means(features), surrogate.cost, elites


def read_study(path: Path) -> object:
    storage = f"sqlite:///{path}"
    with quiet_optuna(), open_storage(storage) as opened:
        study = open_study("s", SearchRecord("s"), storage=opened, settings={})
        return len(study.trials)


RECORD, CHOSEN = SearchRecord("t", [Trial(LABELS, 0.5, Cost(flops=3))]), ArchitectureRow("t", "m", "S", LABELS, 0.5)
KINDS = {
    "checkpoint": Kind("last.ckpt", write_checkpoint, read_checkpoint, summed=True),
    "start": Kind("start.ckpt", write_meta, read_meta, summed=True),
    "weights": Kind("weights.pt", lambda path: write_weights(path, {"w": torch.arange(300.0)}), read_weights, True),
    "results": Kind("results.json", lambda path: write_results(path, [a_result()]), read_results),
    "architectures": Kind("architectures.json", lambda path: write_architectures(path, [CHOSEN]), read_architectures),
    "record lines": Kind("records.jsonl", lambda path: write_record_lines(path, [RECORD]), read_record_lines),
    "surrogate": Kind("surrogate.ckpt", write_surrogate_of_letters, read_surrogate_of_letters, summed=True),
    "history": Kind("probabilities.json", write_history, ProbabilityHistory.read),
    "image": Kind("image.png", write_image, lambda path: read_image(path, (1, 28, 28)), summed=True),
    "omniglot": Kind("omniglot.npz", write_omniglot, read_omniglot, summed=True),
    "NAS-Bench-201": Kind("table.npz", write_table, read_table, summed=True),
    "NATS-Bench": Kind("tss_000003.pickle.pbz2", write_nats, read_nats, summed=True),
    "NAS-Bench-Graph": Kind("cora.bench", write_graph, read_graph),
    "study": Kind("studies.db", read_study, read_study),
}


@cache
def good(name: str) -> bytes:
    """A good file's content, by the kind's name."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / KINDS[name].name
        KINDS[name].write(path)
        return path.read_bytes()
