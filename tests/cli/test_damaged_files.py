"""Every file that is read, damaged in every way: one sentence that names it, and nothing of it is executed."""

from __future__ import annotations

import bz2
import io
import os
import pickle
import random
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from PIL import Image

from lit_metanas.callbacks import ProbabilityHistory
from lit_metanas.callbacks.probability_history import Moment
from lit_metanas.estimators import NASBench201Table, NASBenchGraphTable, NATSFiles
from lit_metanas.io.checkpoints import check_checkpoint, read_weights, write_weights
from lit_metanas.records import (
    ArchitectureRow,
    Cost,
    Protocol,
    ResultRow,
    SearchRecord,
    Trial,
    read_architectures,
    read_records,
    read_results,
    write_architectures,
    write_records,
    write_results,
)
from lit_metanas.searchers.query.study import open_storage, open_study, quiet_optuna
from lit_metanas.spaces import Architecture
from lit_metanas.tasks import Omniglot
from lit_metanas.tasks.images.image_files import read_image
from lit_metanas.training.meta_search.meta_checkpoint import MetaCheckpoint, read_meta_checkpoint, write_meta_checkpoint

LABELS = Architecture({"a": "1"})
FLIPS = 25


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
    return torch.load(path, weights_only=True)


def write_meta(path: Path) -> None:
    weights, logits = {"w": torch.arange(300.0)}, {"a": torch.zeros(2)}
    write_meta_checkpoint(path, MetaCheckpoint(weights, logits, {"a": ["1", "2"]}, {}, (1, 8, 8), Cost()))


def read_meta(path: Path) -> object:
    found = read_meta_checkpoint(path)
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
    return source.classes("test"), source.images("test", 0, [0, 1])


def write_table(path: Path) -> None:
    scores = {f"{part}_acc_{epochs}": np.ones((15625, 3), "u1") for part in ("val", "test") for epochs in (12, 200)}
    np.savez_compressed(
        path,
        **scores,
        params=np.ones((15625, 3), "u1"),
        flops_M=np.ones((15625, 3), "u1"),
        latency_devices=np.array(["phone"]),
        latency_ms=np.ones((15625, 1), "u1"),
        hw_metrics=np.array(["fpga_latency"]),
        hw=np.ones((3, 15625, 1), "u1"),
    )


def read_table(path: Path) -> object:
    table = NASBench201Table("cifar10", path)
    architecture = table.space.from_index(3)
    return table.score(architecture, "val_12"), table.parameters(architecture), table.latency(architecture, "phone")


def write_nats(path: Path) -> None:
    parts = {"cifar10-valid": ("x-valid",), "cifar10": ("ori-test",)}
    record = {
        str(epochs): {
            "all_results": {
                (training, 777): {
                    "params": np.float64(0.07),
                    "flop": 7.5,
                    "eval_acc1es": {f"{name}@{epochs - 1}": 50.0 for name in names},
                }
                for training, names in parts.items()
            }
        }
        for epochs in (12, 200)
    }
    path.write_bytes(bz2.compress(pickle.dumps(record, protocol=4)))


def read_nats(path: Path) -> object:
    table = NATSFiles("cifar10", path.parent)
    return table.measured(table.space.from_index(3))


def write_graph(path: Path) -> None:
    row = {"valid_perf": 0.5, "perf": 0.25, "latency": 0.1, "para": 0.5}
    path.write_bytes(pickle.dumps({81072: row}))


def read_graph(path: Path) -> object:
    return len(NASBenchGraphTable("cora", path.parent))


def read_study(path: Path) -> object:
    storage = f"sqlite:///{path}"
    with quiet_optuna(), open_storage(storage) as opened:
        study = open_study("s", storage=opened, directions=[optuna.study.StudyDirection.MAXIMIZE], settings={})
        return len(study.trials)


RECORD = SearchRecord("t", [Trial(LABELS, 0.5, Cost(flops=3))])
KINDS = {
    "checkpoint": Kind("last.ckpt", write_checkpoint, read_checkpoint, summed=True),
    "start": Kind("start.ckpt", write_meta, read_meta, summed=True),
    "weights": Kind("weights.pt", lambda path: write_weights(path, {"w": torch.arange(300.0)}), read_weights, True),
    "results": Kind("results.json", lambda path: write_results(path, [a_result()]), read_results),
    "architectures": Kind(
        "architectures.json",
        lambda path: write_architectures(path, [ArchitectureRow("t", "m", "S", LABELS, 0.5)]),
        read_architectures,
    ),
    "records": Kind("record.json", lambda path: write_records(path, [RECORD]), read_records),
    "history": Kind("probabilities.json", write_history, ProbabilityHistory.read),
    "image": Kind("image.png", write_image, lambda path: read_image(path, (1, 28, 28)), summed=True),
    "omniglot": Kind("omniglot.npz", write_omniglot, read_omniglot, summed=True),
    "NAS-Bench-201": Kind("table.npz", write_table, read_table, summed=True),
    "NATS-Bench": Kind("tss_000003.pickle.pbz2", write_nats, read_nats, summed=True),
    "NAS-Bench-Graph": Kind("cora.bench", write_graph, read_graph),
    "study": Kind("studies.db", read_study, read_study),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """A good file's content, by the kind's name."""
    made: dict[str, bytes] = {}

    def content(name: str) -> bytes:
        if name not in made:
            path = tmp_path_factory.mktemp("good") / KINDS[name].name
            KINDS[name].write(path)
            made[name] = path.read_bytes()
        return made[name]

    return content


def hostile_checkpoint(path: Path) -> None:
    frame = {"pytorch-lightning_version": "2.6.0", "state_dict": {}, "lit_metanas": {"schema": 1, "own": Hostile()}}
    torch.save(frame, path)


def hostile_arrays(path: Path) -> None:
    stream = io.BytesIO()
    names = ("images_u4", "char_index", "images", "params", "latency_devices", "val_acc_12")
    np.savez(stream, **{name: np.array([Hostile()], dtype=object) for name in names})
    path.write_bytes(stream.getvalue())


def foreign_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")


def foreign_data_base(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table letters (name text)")
    connection.close()


def foreign_picture(path: Path) -> None:
    Image.new("L", (3, 3)).save(path, format="png")


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("kept")


DAMAGE: dict[str, Callable[[Path, bytes], object]] = {
    "empty": lambda path, content: path.write_bytes(b""),
    "half": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "nine tenths": lambda path, content: path.write_bytes(content[: len(content) * 9 // 10]),
    "its first bytes": lambda path, content: path.write_bytes(content[:3]),
    "its end": lambda path, content: path.write_bytes(content[len(content) // 2 :]),
    "zeros in it": lambda path, content: path.write_bytes(
        content[: len(content) // 3] + bytes(len(content) // 3) + content[2 * (len(content) // 3) :]
    ),
    "text": lambda path, content: path.write_text("no such thing\n"),
    "noise": lambda path, content: path.write_bytes(random.Random(0).randbytes(999)),
    "JSON": lambda path, content: path.write_text('{"schema": 1, "rows": []}'),
    "deep JSON": lambda path, content: path.write_text("[" * 100_000),
    "null": lambda path, content: path.write_text("null"),
    "a zip": lambda path, content: foreign_zip(path),
    "a picture": lambda path, content: foreign_picture(path),
    "a data base": lambda path, content: foreign_data_base(path),
    "plain tensors": lambda path, content: torch.save({"other": torch.zeros(3), 5: "five"}, path),
    "a folder": lambda path, content: folder(path),
    "hostile pickle": lambda path, content: path.write_bytes(pickle.dumps(Hostile())),
    "hostile pickle of protocol 0": lambda path, content: path.write_bytes(pickle.dumps(Hostile(), protocol=0)),
    "hostile pickle, packed": lambda path, content: path.write_bytes(bz2.compress(pickle.dumps(Hostile()))),
    "hostile tensors": lambda path, content: hostile_checkpoint(path),
    "hostile arrays": lambda path, content: hostile_arrays(path),
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def refusal(kind: Kind, path: Path) -> str:
    """The sentence that a file is refused with."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        kind.read(path)
    return str(caught.value)


def assert_sentence(text: str, path: Path) -> None:
    assert path.name in text, text
    assert "\n" not in text
    assert len(text.replace(str(path), "")) < 300, text
    assert ": " in text, "no fix"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_gets_one_sentence_and_stays_as_it_is(
    name: str, damage: str, good: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (name, damage) in (("image", "a picture"), ("study", "empty")):
        pytest.skip("this is a good file of this kind")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "files" / KINDS[name].name
    path.parent.mkdir()
    DAMAGE[damage](path, good(name))
    before = None if path.is_dir() else path.read_bytes()
    assert_sentence(refusal(KINDS[name], path), path)
    assert not Path("executed").exists()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert (path / "inside").is_file() if before is None else path.read_bytes() == before


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_gets_one_sentence_or_changes_nothing(
    name: str, good: Callable[[str], bytes], tmp_path: Path
) -> None:
    path = tmp_path / KINDS[name].name
    path.write_bytes(good(name))
    whole = KINDS[name].read(path)
    draw = random.Random(name)
    for _ in range(FLIPS):
        content = bytearray(good(name))
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        try:
            found = KINDS[name].read(path)
        except (ValueError, FileNotFoundError) as error:
            assert_sentence(str(error), path)
        else:
            assert same(found, whole) or not KINDS[name].summed
