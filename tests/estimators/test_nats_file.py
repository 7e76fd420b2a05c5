"""NATS-Bench's record files: made ones, hostile ones, and the published samples."""

import bz2
import json
import os
import pickle
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest

from lit_metanas.estimators import NASBench201Table, NATSFiles

FOUR_PARTS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def made_record(seeds=(777, 888)):
    """A record in the published layout, whose accuracies tell where they come from."""

    def result(training, seed, epochs):
        value = 10 * list(FOUR_PARTS).index(training) + (seed - 777) / 100 + epochs / 1000
        parts = FOUR_PARTS[training]
        accuracies = {
            f"{p}@{e}": value + i + (0 if e == epochs - 1 else 5) for i, p in enumerate(parts) for e in range(epochs)
        }
        return {"params": np.float64(0.0731), "flop": 7.78305, "eval_acc1es": accuracies, "seed": seed}

    return OrderedDict(
        (str(epochs), {"all_results": OrderedDict(((t, s), result(t, s, epochs)) for t in FOUR_PARTS for s in seeds)})
        for epochs in (12, 200)
    )


def store(folder, content, index=3):
    with bz2.open(folder / f"tss_{index:06d}.pickle.pbz2", "wb") as file:
        pickle.dump(content, file, protocol=4)


@pytest.mark.parametrize(
    ("dataset", "images", "val", "test"),
    [("cifar10", 25_000, 0, 10), ("cifar100", 50_000, 20, 21), ("ImageNet16-120", 151_700, 30, 31)],
)
def test_scores_are_means_over_seeds_after_the_last_epoch(tmp_path, dataset, images, val, test):
    store(tmp_path, made_record())
    table = NATSFiles(dataset, tmp_path)
    architecture = table.space.from_index(3)
    for epochs in (12, 200):
        for part, base in (("val", val), ("test", test)):
            expected = (base + 111 / 2 / 100 + epochs / 1000) / 100
            assert table.score(architecture, f"{part}_{epochs}") == pytest.approx(expected)
    assert table.training_flops(architecture, "val_12") == 3 * 7783050 * 12 * images
    measured = {name: measure(architecture) for name, measure in table.measures.items()}
    assert measured == {"parameters": table.parameters(architecture), "flops": table.flops(architecture)}
    assert measured == {"parameters": 73100, "flops": 7783050}


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_record_is_refused_and_not_run(tmp_path):
    store(tmp_path, {**made_record(), "more": Hostile(tmp_path / "witness")})
    table = NATSFiles("cifar10", tmp_path)
    sentence = r"'.*tss_000003.pickle.pbz2' asks for (posix|nt).mkdir, which is not plain data"
    with pytest.raises(ValueError, match=sentence):
        table.score(table.space.from_index(3), "val_200")
    assert not (tmp_path / "witness").exists()


def test_a_record_is_not_unpacked_beyond_a_limit(tmp_path):
    (tmp_path / "tss_000003.pickle.pbz2").write_bytes(bz2.compress(bytes(1 << 28)))
    table = NATSFiles("cifar10", tmp_path)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"tss_000003.pickle.pbz2' is damaged \(EOFError\): get the published"):
        table.score(table.space.from_index(3), "val_200")
    assert tracemalloc.get_traced_memory()[1] < 1 << 26
    tracemalloc.stop()


def test_what_is_absent_is_named(tmp_path):
    table = NATSFiles("cifar10", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"lacks 'tss_000009.pickle.pbz2': unpack all"):
        table.score(table.space.from_index(9), "val_200")
    sentence = r"no folder '.*absent': unpack NATS-tss-v1_0-3ffb9-simple.tar from http"
    with pytest.raises(FileNotFoundError, match=sentence):
        NATSFiles("cifar10", tmp_path / "absent")
    with pytest.raises(ValueError, match="no data set 'mnist'"):
        NATSFiles("mnist", tmp_path)


PUBLISHED = {
    "nas_bench_201.npz": (NASBench201Table, (200,), 2e-5, 10.0),
    "nats_samples": (NATSFiles, (12, 200), 1e-9, 0.5),
}
"""What reads a published file, the epochs in it, and how far its scores and multiply-adds are rounded."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_have_the_published_means(data_folder, name):
    kind, known, of_score, of_flops = PUBLISHED[name]
    records = json.loads((data_folder / "nats_bench_reference_3archs.json").read_text())
    for dataset, column in {"cifar10": "c10", "cifar100": "c100", "ImageNet16-120": "in"}.items():
        table = kind(dataset, data_folder / name)
        for index in (0, 11, 284):
            architecture = table.space.from_index(index)
            for epochs in known:
                record = records[f"{index}/{epochs}"]
                for part in ("val", "test"):
                    mean, _ = record["mean_over_seeds"][f"{column} {part}"]
                    assert 100 * table.score(architecture, f"{part}_{epochs}") == pytest.approx(mean, abs=of_score)
            assert table.parameters(architecture) == round(1e6 * record["params_M"][dataset])
            assert table.flops(architecture) == pytest.approx(1e6 * record["flop_M"][dataset], abs=of_flops)
