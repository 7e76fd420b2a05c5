"""Reports of files that an attacker has written: short, small, or refused in a sentence."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lit_metanas.callbacks.architecture_picture import MOST_BANDS, MOST_BLOCKS, draw_architecture
from lit_metanas.callbacks.figures import MOST_DRAWN_PIXELS, figure, label, natural
from lit_metanas.cli.command_line import main
from lit_metanas.records import Cost, ResultRow, Trial, write_results
from lit_metanas.report import write_report
from lit_metanas.report.report_verb import MOST_RESULTS
from lit_metanas.spaces import Architecture

Document = dict[str, Any]
LONG = "m" * 10_000


@pytest.fixture
def rows(make: Any) -> list[ResultRow]:
    curve = [(10.0**power, 0.5 + power / 100) for power in range(3, 9)]
    return [make(name, values=(0.5, 0.6, rank), search=10**9, curve=curve) for rank, name in enumerate("ab")]


@pytest.mark.parametrize(
    "change",
    [
        {"method": LONG},
        {"method": "$" * 50},
        {"method": "\x1b]0;owned\x07\n|<script>"},
        {"task_id": LONG},
        {"value": 3e38, "values": (3e38, -3e38)},
        {"ci95": math.inf},
        {"cost": Cost(flops=2**63 - 1, seconds=math.nan)},
        {"parameters": 2**63 - 1, "flops": -1},
        {"curve": ((math.nan, 0.5), (1.0, math.nan), (math.inf, 0.5), (2.0, -math.inf))},
        {"curve": ((-3e38, 0.5), (0.0, 0.75))},
        {"curve": tuple((float(number), number / 1e5) for number in range(1, 100_000))},
        {"front": (Trial(Architecture({}), math.nan, Cost(), measures={"latency": 0.0}),)},
        {"front": (Trial(Architecture({}), 3e38, Cost(), measures={LONG: 1e-300}),)},
    ],
    ids=lambda change: ",".join(change),
)
def test_odd_values_are_shown_or_left_out(change: Document, rows: list[ResultRow], tmp_path: Path) -> None:
    made = write_report(tmp_path, [*rows, replace(rows[0], **{"method": "odd", **change})])
    for file in made.files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert image.width * image.height <= MOST_DRAWN_PIXELS
                assert image.width < 4000
    text = (tmp_path / "report.md").read_text()
    assert "\x1b" not in text
    assert len(text) < 100_000


def test_results_that_are_no_numbers_are_left_out(rows: list[ResultRow], tmp_path: Path) -> None:
    odd = [replace(rows[0], method="nan", value=math.nan), replace(rows[0], method="inf", values=(0.5, math.inf))]
    with pytest.warns(UserWarning, match=r"2 results without a finite score: left out\."):
        made = write_report(tmp_path, [*rows, *odd])
    assert [row.method for table in made.tables for row in table.rows] == ["a", "b"]
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="There are no results"):
        write_report(tmp_path, odd)


def test_more_rows_than_a_report_has_room_for(rows: list[ResultRow], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"more than {MOST_RESULTS}: give fewer files"):
        write_report(tmp_path, rows * MOST_RESULTS)
    with pytest.raises(ValueError, match="No table compares 'a' with a reference: name a method that has results"):
        write_report(tmp_path, rows[:1], subject="a")


@pytest.mark.parametrize(
    "architecture",
    [
        {"depth": "1000000000", "kernel": "3"},
        {"depth": "²"},
        {"kernel": "²", "pool": "$\\frac$"},
        {f"layer{number}.kernel": "3" for number in range(10_000)},
        {LONG: LONG, f"{LONG}.kernel": LONG, f"a{'1' * 9000}.b": "c", f"a{'2' * 9000}.b": "c"},
    ],
    ids=lambda architecture: str(architecture)[:40],
)
def test_an_architecture_is_drawn_in_bounds(architecture: dict[str, str]) -> None:
    drawn = draw_architecture(Architecture(architecture), LONG)
    assert sum(text.get_text().startswith(("layer", "network", "a")) for text in drawn.axes[0].texts) <= MOST_BLOCKS + 2
    assert len(drawn.axes[0].texts) < MOST_BLOCKS * (MOST_BANDS + 4)
    width, height = drawn.get_size_inches() * drawn.dpi
    assert width * height <= MOST_DRAWN_PIXELS * 1.01


def test_a_figure_of_any_size_has_few_pixels() -> None:
    assert figure(10, 5).dpi == 150
    for width, height in ((1e6, 1e6), (1e7, 1.0), (4.0, 1e8)):
        drawn = figure(width, height)
        assert width * height * drawn.dpi**2 <= MOST_DRAWN_PIXELS * 1.01
        assert max(width, height) * drawn.dpi <= 30_001


def test_labels_are_short_and_plain() -> None:
    assert label("a$b$\n") == "a\\$b\\$\N{REPLACEMENT CHARACTER}"
    assert label("x" * 61) == "x" * 59 + "…"
    assert sorted(["b2", "b10", "b02", "a", "b²", f"b{'9' * 9000}"], key=natural) == [
        "a", "b2", "b02", "b10", f"b{'9' * 9000}", "b²"
    ]  # fmt: skip


def refused(change: Document, rows: list[ResultRow], capsys: pytest.CaptureFixture[str]) -> str:
    write_results("results.json", rows)
    document = json.loads(Path("results.json").read_text())
    document["results"][0] |= change
    Path("results.json").write_text(json.dumps(document))
    assert main(["report", "--results+=results.json"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("lit-metanas: 'results.json' ")
    assert said.count("\n") == 1
    assert len(said) < 300
    return said


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": 1e308}, "holds a number that is too large (1e+308…)"),
        ({"protocol": {"name": "x", "way": 1, "shot": 1, "batch_norm": "", "account": "euros"}}, "not in 'euros'"),
        ({"method": "\ud800"}, "holds text that is not Unicode"),
        (
            {"front": [{"architecture": {}, "value": 1, "cost": {}, "measures": {name: 1}} for name in "ab"]},
            "different measures",
        ),
    ],
    ids=str,
)
def test_a_file_beyond_the_limits_gets_one_sentence(
    change: Document, reason: str, rows: list[ResultRow], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(change, rows, capsys)
    assert not Path("report").exists()
