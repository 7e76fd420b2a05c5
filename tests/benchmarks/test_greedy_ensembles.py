"""Greedy ensemble selection against seeds of the best network: who is chosen, and what a row has."""

import json
import math

import pytest
import torch


def sure(*classes, by=2.0):
    """Logarithms of probabilities of a network that is sure of these classes of three."""
    return (by * torch.eye(3, dtype=torch.float64)[list(classes)]).log_softmax(dim=1)


def chosen_by_loops(logs, labels, members):
    """The same by plain loops over examples and classes."""
    chosen = []
    for _ in range(members):
        values = []
        for place in range(len(logs)):
            right, told = 0, 0.0
            for row, label in enumerate(labels):
                sums = [sum(logs[one][row][name] for one in (*chosen, place)) for name in range(len(logs[0][row]))]
                means = [one / (len(chosen) + 1) for one in sums]
                right += max(range(len(means)), key=means.__getitem__) == label
                told += means[label] - math.log(sum(math.exp(one) for one in means))
            values.append((right, told))
        chosen.append(values.index(max(values)))
    return chosen


def test_members_are_those_of_plain_loops(load):
    module, generator = load("greedy_ensembles"), torch.Generator().manual_seed(0)
    mixed = 0
    for _ in range(20):
        labels = torch.randint(4, (15,), generator=generator)
        logs = (2 * torch.randn(5, 15, 4, generator=generator, dtype=torch.float64)).log_softmax(dim=2)
        found = module.chosen_greedily(list(logs), labels, 3)
        assert found == chosen_by_loops(logs.tolist(), labels.tolist(), 3)
        mixed += len(set(found)) > 1
    assert mixed > 10, "most have several networks"


def test_of_equal_accuracies_the_surer_one_is_taken(load):
    labels = torch.tensor([0, 1])
    assert load("greedy_ensembles").chosen_greedily([sure(0, 1), sure(0, 1, by=5.0)], labels, 2) == [1, 1]


def test_a_row_has_accuracies_of_each_way(load, spots, monkeypatch, tmp_path, capsys):
    module, tasks = load("greedy_ensembles"), load("mixed_tasks")
    monkeypatch.setattr(module, "PROBLEMS", (spots,))
    monkeypatch.setattr(module, "EPOCHS", 2)
    file = tmp_path / "greedy.jsonl"
    for _ in range(2):  # the second time there is nothing to do
        module.main(["--data", str(tmp_path), "--tasks", "spots/all", "--seeds", "0", "1", "--output", str(file)])
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["seed"] for row in rows] == [0, 1]
    for row in rows:
        assert list(row["test"]) == list(module.KINDS)
        assert len(row["greedy members"]) == module.MEMBERS
        for value in row["test"].values():
            right = value / 100 * row["tested"]
            assert right == pytest.approx(round(right), abs=0.01)
        if len(set(row["greedy members"])) == 1:
            assert row["test"]["greedy"] == row["test"]["seeds of the best"]
    assert "greedy against seeds of the best" in capsys.readouterr().out
    assert module.measure(spots, tasks.Folders(tmp_path, tmp_path), 0) == rows[0]
