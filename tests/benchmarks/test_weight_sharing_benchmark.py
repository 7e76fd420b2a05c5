"""The benchmark of weight-sharing searches: what it keeps of a search, its table, and where a search stops early."""

import argparse
import importlib
import json
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest
import torch

import lit_metanas
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training import Recipe

FOLDER = Path(lit_metanas.__file__).parent.parent / "benchmarks"
ORACLE = FOLDER / "oracle_glyphs.json"
NOT_SEARCHED = ("random per task", "fixed")


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def task(block, index, omniglot):
    generator = torch.Generator().manual_seed(index)
    patterns = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(3).repeat_interleave(4)

    def split():
        return Split((patterns[labels] + 0.1 * torch.rand(12, 1, 4, 4, generator=generator)).clamp(0, 1), labels)

    return Task(f"toy/{index}", 3, split(), split(), split())


@pytest.fixture
def small(benchmark_module, monkeypatch):
    """The benchmark with one small block."""
    module, blocks = benchmark_module("weight_sharing"), benchmark_module("sharing_blocks")
    block = replace(
        blocks.BLOCKS["glyphs, DARTS cell"],
        space=blocks.cells(("none", "skip_connect", "sep_conv_3x3"), channels=2, cells=3),
        flops=1e6,
        recipe=Recipe(epochs=1, batch_size=6, inherit=False),
        batch_size=6,
    )
    monkeypatch.setattr(module, "BLOCKS", {"toys": block})
    monkeypatch.setattr(module, "draw", task)
    return module


def options(output, **changes):
    given = {"output": output, "oracle": ORACLE, "omniglot": Path(), "blocks": ["toys"], "tasks": 1, "seeds": 1}
    return argparse.Namespace(**{**given, "scale": 1.0, **changes})


def test_each_search_is_kept_with_what_tells_a_collapse_and_is_not_run_twice(small, tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    small.run_all(options(path))
    rows = json.loads(path.read_text())["rows"]
    assert [row["method"] for row in rows] == [
        "DARTS-",
        "DARTS",
        "GDAS",
        "ENAS",
        "one-shot",
        "random per task",
        "fixed",
    ]
    for row in rows:
        normal = [label for name, label in row["architecture"].items() if name.startswith("normal.edge")]
        assert row["skips"] == normal.count("skip_connect") / 8
        assert row["free"] == 1 - normal.count("sep_conv_3x3") / 8
        assert (row["relaxed"] is None) == (row["method"] not in ("DARTS", "DARTS-"))
        assert (row["one_hot"] is None) == (row["method"] in NOT_SEARCHED)
        assert 0 <= row["test"] <= 1
        assert row["flops"] <= 1e6
        assert (row["flops"] == 0) == (row["method"] in NOT_SEARCHED)
    monkeypatch.setattr(small, "search", lambda *args, **kwargs: pytest.fail("searched again"))
    small.run_all(options(path))
    assert "toys | DARTS- |" in small.report(rows, ORACLE)


def test_the_table_has_the_interval_over_seeds_and_the_oracles_rank(benchmark_module):
    module = benchmark_module("weight_sharing")
    ranking = module.ranking(ORACLE)
    first, third = ranking[0][0], ranking[2][0]
    row = {"method": "DARTS", "parameters": 5000, "flops": 2e9, "seconds": 3.0, "relaxed": 0.5, "one_hot": None}
    rows = [
        {**row, "seed": 0, "test": 0.5, "architecture": first.to_json()},
        {**row, "seed": 0, "test": 0.7, "architecture": third.to_json()},
        {**row, "seed": 1, "test": 0.8, "architecture": third.to_json()},
    ]
    line = module.line("name", "DARTS", rows, dict(ranking), {one: place for place, (one, _) in enumerate(ranking, 1)})
    half = 12.7062 * (0.2 / sqrt(2)) / sqrt(2)  # Student's t of one degree of freedom
    regret = 100 * 2 * (ranking[0][1] - ranking[2][1]) / 3
    start = f"| name | DARTS | 70.0 ± {100 * half:.1f} | 3 of 54, {regret:.1f} | 50.0, – | –, – | 5,000 | 2 G | 3 |"
    assert line == start
    assert LayeredSpace(shared=True).size == len(ranking)


@pytest.mark.parametrize(
    ("skips", "place"),
    [([0.5, 0.25, 0.625, 0.25], 1), ([0.75, 0.0, 0.75], 1), ([0.0, 0.5, 0.5], 2), ([0.0, 0.5, 1.0], 1)],
)
def test_a_search_stops_before_its_cell_is_mostly_skips(benchmark_module, skips, place):
    assert benchmark_module("skip_collapse").stopped([{"skips": share} for share in skips]) == place
