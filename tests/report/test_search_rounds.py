"""The figure of what a search tried."""

from types import SimpleNamespace

import pytest

from lit_metanas.records import Cost, SearchRecord, Trial
from lit_metanas.report.figures.costs import describe_rounds, draw_rounds
from lit_metanas.spaces import Architecture


def searched(order, **changes):
    """A search of networks, given by their letters, each with a score in percent; the last one has been chosen."""
    trials = [
        Trial(Architecture({"kernel": letter}), value / 100, Cost(flops=10**9 * place), recipe={"rate": 0.1})
        for place, (letter, value) in enumerate(order, start=1)
    ]
    fields = {"architecture": trials[-1].architecture, "stopped": False, "untried": 0, "linear_model": ""}
    fields |= {"task_id": "letters", "metric": "accuracy", "whole_recipe": {"rate": 0.1, "epochs": 3}}
    return SimpleNamespace(record=SearchRecord("letters", trials), **{**fields, **changes})


ORDER = [("a", 50), ("b", 60), ("c", 40), ("d", 30), ("b", 70), ("a", 65), ("e", 66), ("b", 80), ("e", 81), ("e", 82)]


def test_each_network_is_a_line_to_where_it_was_dropped():
    (axes,) = draw_rounds(searched(ORDER)).axes
    lines = [list(map(tuple, line.get_xydata())) for line in axes.lines if line.get_linestyle() == "-"]
    assert lines[0] == [(6, 66), (8, 81), (9, 82)]  # the chosen one comes first
    assert sorted(map(len, lines)) == [1, 1, 2, 3, 3]
    marks = {line.get_marker(): [] for line in axes.lines if line.get_linestyle() == "None"}
    for line in axes.lines:
        if line.get_linestyle() == "None":
            marks[line.get_marker()].append(tuple(line.get_xydata()[0]))
    assert marks["o"] == [(9, 82)]
    assert sorted(marks["x"]) == [(2, 40), (3, 30), (5, 65), (7, 80)]
    assert {text.get_text() for text in axes.texts} >= {"5", "round 1", "2", "3", "4"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4 G", "7 G", "10 G"]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["5: chosen", "2: kernel b", "1: kernel a", "3: kernel c", "4: kernel d"]


def test_a_search_of_one_network_or_of_a_front_is_not_drawn():
    assert draw_rounds(searched([("a", 50), ("a", 60)])) is None
    front = searched(ORDER)
    front.record.objectives = ("accuracy", "parameters")
    assert draw_rounds(front) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Network 5 was chosen. The search ended when its part of the budget was spent, after"),
        (
            {"architecture": Architecture({"kernel": "z"}), "linear_model": "of words, has 90.0 %"},
            "Linear model: of words, has 90.0 %. The",
        ),
        ({"stopped": True}, "It was interrupted, after 10.0 GFLOPs."),
        ({"untried": 2}, "The budget did not pay for 2 further networks."),
    ],
)
def test_the_end_of_a_search_is_described(changes, said):
    text = describe_rounds(searched(ORDER, **changes))
    assert text.startswith("The search tried 5 networks in 4 rounds. ")
    assert said in text
    assert ("Network 5 was chosen" in text) == ("architecture" not in changes)
