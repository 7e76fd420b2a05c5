"""Results with known means."""

from dataclasses import replace

import pytest

from lit_metanas.records import Cost, Protocol, ResultRow
from lit_metanas.spaces import Architecture

EPISODES = Protocol("episodes", 5, 1, "support")
TARGET = Protocol("target", 10, 100, "running")
LOOKED_UP = Protocol("Cells on cifar10: test by val", 0, 0, "", "queries")
ARCHITECTURE = Architecture({"depth": "2", "kernel": "3", "pool": "avg", "activation": "ReLU"})


def result(
    method, *, seed=0, values=(), value=0.0, task="test episodes", protocol=EPISODES, search=0, meta=0, curve=()
):
    return ResultRow(
        method=method, task_id=task, space="LayeredSpace", architecture=ARCHITECTURE, recipe={}, seed=seed,
        protocol=protocol, value=sum(values) / len(values) if values else value, ci95=0.03,
        cost=Cost(flops=search, seconds=search / 1e9),
        meta_cost=Cost(flops=meta, seconds=meta / 1e9), parameters=112_000,
        flops=9_800_000, values=tuple(values), curve=tuple(curve), hardware="a machine",
        config=f"runs/{seed}/config.yaml",
    )  # fmt: skip


@pytest.fixture(scope="session")
def make():
    return result


@pytest.fixture(scope="session")
def looked_up():
    """Two searches of a table, that of the second over in fewer queries; nothing known of their networks."""
    return [
        replace(
            result(method, value=value, task="cifar10", protocol=LOOKED_UP, curve=[(1, 0.4), (queries, value)]),
            cost=Cost(queries=queries, flops=10**15, seconds=0.5), parameters=0, flops=0,
        )
        for method, queries, value in (("random", 100, 0.7), ("evolution", 40, 0.8))
    ]  # fmt: skip


@pytest.fixture(scope="session")
def many():
    """Four methods under two protocols, three seeds; accuracies follow a simple pattern."""
    rows = []
    for rank, (method, search, meta) in enumerate(
        [("Conv-4", 0, 3 * 10**12), ("DARTS from scratch", 4 * 10**11, 0), ("random per task", 10**10, 0),
         ("meta-searched, adapted", 10**10, 39 * 10**11)]
    ):  # fmt: skip
        for seed in range(3):
            base = 0.6 + 0.05 * rank - 0.1 * (rank == 2) + 0.01 * seed
            values = [base + 0.01 * ((7 * i) % 5 - 2) for i in range(20)]
            rows.append(result(method, seed=seed, values=values, search=search, meta=meta))
            for task in range(4):
                value = base + 0.02 * task
                shares = (0.25, 0.5, 0.96, 1.0) if search else ()
                curve = [(search * share, value - 0.1 * (1 - share)) for share in shares]
                rows.append(
                    result(method, seed=seed, value=value, task=f"task {task}", protocol=TARGET, search=search,
                           meta=meta, curve=curve)
                )  # fmt: skip
    return rows
