"""The leaderboard: every result in a folder, once, escaped, sorted by the browser, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.report.leaderboard import leaderboard_page, read_folder

HOSTILE = '"><script>alert(1)</script><img src=x onerror="alert(2)">'
PROTOCOL = lm.records.Protocol("target", way=3, shot=20, batch_norm="running")
ROW = lm.records.ResultRow(
    "random", "letters", "LayeredSpace", lm.Architecture({"kernel": "3"}), {}, 0, PROTOCOL, 0.8, 0.05,
    lm.Cost(flops=2_000_000, seconds=3.0), lm.Cost(), 1000, 20_000,
)  # fmt: skip
ROWS = [
    ROW,
    replace(
        ROW, method="DARTS", value=0.9, ci95=math.nan, parameters=900, ensemble=5, linear=lm.Architecture({"bins": "8"})
    ),
    replace(ROW, method="10 tries", value=0.85, parameters=12_000, architecture=None, stopped=True),
    replace(ROW, method="2 tries", value=0.1, parameters=0),
]
STOPPED = "10 tries, stopped early"


class Page(HTMLParser):
    """The cells of each row, all tags, and what is within scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.code: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is not None:
            self.code[self.cdata_elem] = self.code.get(self.cdata_elem, "") + data
        elif self.rows and self.rows[-1] and self.lasttag in ("td", "button"):
            self.rows[-1][-1] += data

    def column(self, name: str) -> list[str]:
        head, *rows = [[cell.strip() for cell in row] for row in self.rows]
        return [row[head.index(name)] for row in rows]


def test_every_result_stands_in_a_row_sorted_by_task_and_score() -> None:
    others = [replace(row, task_id="a task") for row in ROWS[:2]]
    page = Page(leaderboard_page([("results.json", row) for row in [*ROWS, *others]]))
    assert page.column("task") == ["a task"] * 2 + ["letters"] * 4
    assert page.column("method") == ["DARTS", "random", "DARTS", STOPPED, "random", "2 tries"]
    assert page.column("score %")[2:] == ["90.0", "85.0", "80.0", "10.0"]
    assert page.column("95 % interval")[2:] == ["", "[80.0, 90.0]", "[75.0, 85.0]", "[5.0, 15.0]"]
    assert page.column("protocol")[0] == "target 3-way 20-shot"
    assert page.column("parameters")[2:] == ["900", "12.0 k", "1.00 k", ""]
    assert page.column("search FLOPs")[0] == "2.00 M"
    assert page.column("architecture")[2:4] == ["kernel=3 (ensemble of 5 such networks and a linear model)", ""]
    assert len({len(row) for row in page.rows}) == 1


def test_hostile_names_are_text_and_the_page_loads_nothing() -> None:
    hostile = replace(
        ROW, task_id=HOSTILE, method=HOSTILE, space=HOSTILE, hardware=HOSTILE, metric=HOSTILE,
        architecture=lm.Architecture({"kernel": HOSTILE}), protocol=replace(PROTOCOL, name=HOSTILE),
    )  # fmt: skip
    text = leaderboard_page([(HOSTILE, hostile), ("results.json", ROW)])
    page = Page(text)
    assert {tag for tag, _ in page.tags} == {
        "html", "meta", "title", "style", "h1", "p", "table", "thead", "tr", "th", "button", "tbody", "td", "script",
    }  # fmt: skip
    assert not any({"src", "href", "onerror", "style"} & own.keys() for _, own in page.tags)
    assert HOSTILE in page.column("task")
    assert HOSTILE in page.column("file")
    (policy,) = (own["content"] for _, own in page.tags if own.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag, code in page.code.items():
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_all_files_of_results_in_a_folder_are_read_and_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lm.records.write_results("runs/a/results.json", ROWS[:2])
    lm.records.write_results("runs/b/c/episodes.json", ROWS[2:3])
    lm.records.write_architectures("runs/a/architectures.json", [])
    Path("runs/a/other.json").write_text("[1, 2]")
    lm.records.write_results("runs/a/children/letters/random/result.json", ROWS[:1])  # what a search goes on from
    lm.records.write_results("runs/unfinished/children/letters/random/result.json", ROWS[:1])
    assert {file: len(rows) for file, rows in read_folder(Path("runs")).items()} == {
        "a/results.json": 2, "b/c/episodes.json": 1, "unfinished/children/letters/random/result.json": 1,
    }  # fmt: skip
    assert main(["report", "--leaderboard", "runs"]) == 0
    assert capsys.readouterr().out == "Leaderboard  report/leaderboard.html\n"
    assert [file.name for file in Path("report").iterdir()] == ["leaderboard.html"]
    page = Page(Path("report/leaderboard.html").read_text(encoding="utf-8"))
    assert sorted(page.column("file"))[:3] == ["a/results.json", "a/results.json", "b/c/episodes.json"]

    Path("runs/damaged.json").write_text('{\n "schema": 1,\n "results": [{}]}')
    with pytest.warns(UserWarning, match=r"Left out: 'runs/damaged\.json' cannot be read"):
        assert main(["report", "--results", "runs/a/results.json", "--leaderboard", "runs", "--output", "both"]) == 0
    assert {"report.md", "leaderboard.html"} <= {file.name for file in Path("both").iterdir()}
    assert re.search(r"Leaderboard +both/leaderboard\.html\n", capsys.readouterr().out)


def test_what_is_missing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    assert "give --results FILE ..., or --leaderboard FOLDER" in capsys.readouterr().err
    assert main(["report", "--leaderboard", str(tmp_path)]) == 2
    assert f"There are no results in '{tmp_path}'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium is installed")
@pytest.mark.parametrize(
    ("asked", "expected", "order"),
    [
        ("", ["DARTS", STOPPED, "random", "2 tries"], None),
        ("#method", ["2 tries", STOPPED, "DARTS", "random"], "ascending"),
    ],
)
def test_a_browser_sorts_by_what_is_asked_for(
    asked: str, expected: list[str], order: str | None, tmp_path: Path
) -> None:
    rows = [replace(row, space=HOSTILE) for row in ROWS]
    (tmp_path / "page.html").write_text(leaderboard_page([(HOSTILE, row) for row in rows]), encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom", f"file://{tmp_path / 'page.html'}{asked}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    page = Page(done.stdout)
    assert page.column("method") == expected
    assert [own["aria-sort"] for tag, own in page.tags if "aria-sort" in own] == ([order] if order else [])
    assert html.escape(HOSTILE, quote=False) in done.stdout
