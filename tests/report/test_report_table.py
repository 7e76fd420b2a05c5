import math
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from lit_metanas.io.text import duration, with_prefix
from lit_metanas.records.statistics import percent
from lit_metanas.report import tables, to_markdown, to_rich
from lit_metanas.report.table import Difference
from lit_metanas.report.table_text import COLUMNS, points, tasks, verdict


def cells(row):
    return [column.text(row) for column in COLUMNS]


def test_numbers_and_times_are_short():
    numbers = [0, 950, 999.6, 12_345, 4_560_000, 10**9, 1.5e15, 99_960, 0.25]
    assert [with_prefix(number) for number in numbers] == [
        "0", "950", "1.00 k", "12.3 k", "4.56 M", "1.00 G", "1.50 P", "100 k", "0.25"
    ]  # fmt: skip
    assert [with_prefix(10.0**power, exact=True) for power in (9, 11, 12)] == ["1 G", "100 G", "1 T"]
    assert [duration(seconds) for seconds in (0.42, 9.96, 99.6, 7560)] == ["0.42 s", "10 s", "1.7 min", "2.1 h"]


def test_percent_points_and_tasks():
    assert percent(0.7134, 0.0091) == "71.3 ± 0.9"
    assert percent(0.7134) == "71.3"
    assert percent(0.68, 0.637) == "68.0 [4.3, 100.0]"
    assert percent(0.02, 0.03) == "2.0 [0.0, 5.0]"
    assert percent(3.2, 4.0) == "320.0 ± 400.0"  # no share
    assert points(Difference(-0.012, -0.02, 0.004, 10)) == "−1.2 [−2.0, +0.4]"
    assert points(Difference(-0.012, math.nan, math.nan, 1)) == "−1.2"
    assert [tasks(n) for n in (None, math.inf, 12.0)] == ["–", "never", "12"]


def test_golden_cells(many):
    _, target = tables(many, reference="Conv-4")
    # Tasks 0.61, 0.63, 0.65, 0.67 after averaging seeds: s = 0.02582, t(0.975, 3) = 3.18245; seeds 0.63, 0.64, 0.65.
    assert cells(target.rows[0])[:4] == ["Conv-4", "64.0 ± 4.1", "64.0 ± 2.5", "–"]
    assert cells(target.rows[3]) == [
        "meta-searched, adapted", "79.0 ± 4.1", "79.0 ± 2.5", "+15.0 [+15.0, +15.0]", "10.0 GFLOPs, 10 s",
        "3.90 TFLOPs, 65.0 min", "11", "112 k", "9.80 M", "running", "0, 1, 2",
    ]  # fmt: skip


def test_pay_off_is_counted_against_the_best_search_without_meta_training(many):
    _, target = tables(many)
    assert target.scratch == "DARTS from scratch"  # more accurate than the random one
    assert target.rows[3].pays_after == 11  # 3.9 T / (0.96 * 400 G - 10 G): within half a point of the end at 96 %
    assert target.rows[1].pays_after is None
    _, target = tables(many, scratch="random per task")
    assert (target.rows[3].pays_after, cells(target.rows[3])[6]) == (math.inf, "never")


def test_what_was_looked_up_is_counted_in_queries(looked_up):
    (table,) = tables(looked_up)
    assert table.title == "Cells on cifar10: test by val"
    assert cells(table.rows[1]) == [
        "evolution", "80.0 ± 3.0", "–", "–", "40 queries, 0.5 s", "–", "–", "–", "–", "–", "0",
    ]  # fmt: skip
    text = to_markdown(table)
    assert "Costs: queries, each an architecture whose score was looked up, and time." in text
    assert "forward multiply-adds" not in text  # nothing is known of the networks
    assert "Pays after" not in text  # nothing was meta-trained


def test_what_intervals_are_over(make, many):
    """A person's single folder of images: the interval is over its test examples, as it came."""
    (table,) = tables([make("a", value=0.5, task="folder", protocol=many[-1].protocol)])
    assert (table.units, cells(table.rows[0])[1]) == ("test examples", "50.0 ± 3.0")
    text = to_markdown(table)
    assert "Accuracy: mean over the test examples with its 95 % interval (Wilson's where it is a share)." in text
    looked_up = replace(many[-1].protocol, name="table")
    rows = [make("a", seed=s, value=0.5 + s / 10, task="cifar10", protocol=looked_up) for s in (0, 1)]
    rows = [replace(row, ci95=math.nan) for row in rows]
    text = to_markdown(*tables(rows))
    assert "mean over the seeds. Over seeds: the same mean with its 95 % interval over seeds." in text
    assert "Accuracy: mean over the test examples." in to_markdown(*tables(rows[:1]))
    text = to_markdown(tables(many)[1])
    assert "Accuracy: mean over the target tasks with its 95 % interval (Student's t). Over seeds: " in text
    text = to_markdown(tables([row for row in many if row.seed == 1])[1])
    assert "Accuracy: mean over the target tasks with its 95 % interval (Student's t)." in text
    assert "ver seeds" not in text


def test_wrong_names_and_no_results_are_told(many):
    with pytest.raises(ValueError, match="No result has the method 'Conv4': the results have Conv-4, DARTS"):
        tables(many, reference="Conv4")
    with pytest.raises(ValueError, match="no results to report"):
        tables([])


@pytest.mark.parametrize(("width", "parts"), [(200, 1), (80, 3)])
def test_terminal_shows_every_cell_whole(many, width, parts):
    table = tables(many, reference="Conv-4")[1]
    drawn = to_rich(table, width)
    assert len(drawn) == parts
    console = Console(file=StringIO(), width=width)
    for own in drawn:
        console.print(own)
    text = console.file.getvalue()
    assert "…" not in text
    for cell in cells(table.rows[3])[1:-1]:  # but the seeds, which all rows share
        assert cell in text


def test_searches_that_were_stopped_are_told(make):
    cut = replace(make("b", values=[0.5, 0.6], seed=1), stopped=True)
    (table,) = tables([make("a", values=[0.5, 0.6]), make("b", values=[0.5, 0.6]), cut])
    assert " Stopped early, with the best so far: 'b'." in to_markdown(table)


def test_the_verdict_tells_what_was_won_and_what_it_cost(make):
    rows = [
        make("Conv-4", values=(0.5, 0.7), meta=3 * 10**12),
        make("searched", values=(0.6, 0.8), meta=10**12, search=10**12),
    ]
    said = verdict(tables(rows, reference="Conv-4"), "searched")
    assert said.startswith("searched: 70.0 ")
    assert "+10.0 [+10.0, +10.0] points to Conv-4" in said
    assert said.endswith("it cost 2.00 T of training FLOPs with its search, Conv-4 3.00 T.")
    assert verdict(tables(rows), "searched") == verdict(tables(rows, reference="Conv-4"), "other") == ""
