"""Pools of networks with their recipes: what a pair is, and that a stopped run goes on."""

import pytest
import torch

import lit_metanas as lm

SPACE = lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1,), widths=(2, 4))


@pytest.fixture
def pools(load):
    return load("pair_pool")


def test_a_pool_goes_on_where_it_stopped(pools, load, tmp_path, monkeypatch):
    part = lm.Split(torch.rand(9, 1, 4, 4), torch.arange(9) % 3)
    task = lm.Task("toy/1", way=3, train=part, val=part, test=part)
    problem, done = load("mixed_tasks").Problem("toy", "1", lambda folders: task), []

    def train(task, member, pair, *, steps, space):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(member)
        return pools.Row(task.id, member, 0, 0.5, 0.25, 1.0)

    path = tmp_path / "pool.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(pools, "train", train)
        with pytest.raises(KeyboardInterrupt):
            pools.PairPool(path, 3, SPACE).fill([problem], None)
    with path.open("a") as stream:
        stream.write('["toy/1", 2, 0')  # killed while it wrote
    pool = pools.PairPool(path, 3, SPACE)
    assert [row.member for row in pool.rows] == [0, 1]
    pool.fill([problem], None)
    again = pools.PairPool(path, 3, SPACE)
    assert again.rows == pool.rows
    assert [row.member for row in again.rows] == [0, 1, 2]
    assert 0 <= again.rows[2].test <= 1
    with pytest.raises(ValueError, match="other pairs"):
        pools.PairPool(path, 4, SPACE)


def test_a_pair_is_an_architecture_and_a_recipe(pools):
    pairs = pools.draw_pool(pools.PairSpace(SPACE), 30)
    assert len(set(pairs)) == 30
    for pair in pairs:
        architecture, recipe = pools.parts_of(pair, examples=70)
        assert SPACE.violation(architecture) is None
        assert recipe.learning_rate == float(pair["learning_rate"])
        assert (recipe.epochs, recipe.batch_size) == (34, 32)  # of three steps each
