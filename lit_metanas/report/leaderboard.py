"""All results in a folder as one sortable page of HTML, which loads nothing from elsewhere."""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from lit_metanas.io.files import open_regular
from lit_metanas.io.text import duration, number_of, printable, with_prefix
from lit_metanas.records.result_files import read_results
from lit_metanas.records.rows import Protocol, ResultRow, describe_chosen
from lit_metanas.records.statistics import bounds

PAGE = "leaderboard.html"

_RESULTS = re.compile(rb'\s*\{\s*"schema"\s*:\s*\d+\s*,\s*"results"\s*:')
"""The beginning of a file of results."""

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif }
body { margin: 1.5rem }
table { border-collapse: collapse }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #8886 }
th { position: sticky; top: 0; background: Canvas }
th button { font: inherit; font-weight: 600; border: 0; padding: 0; background: none; color: inherit; cursor: pointer }
th[aria-sort=ascending] button::after { content: " ▲" }
th[aria-sort=descending] button::after { content: " ▼" }
.long { white-space: nowrap; max-width: 22rem; overflow: hidden; text-overflow: ellipsis }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
"""

_SCRIPT = """
const head = [...document.querySelectorAll("th")], body = document.querySelector("tbody");
function sort(place, down) {
  const key = row => row.cells[place].dataset.value ?? row.cells[place].textContent;
  const number = head[place].className === "number", turn = down ? -1 : 1;
  const compare = (a, b) => number ? turn * (a - b) : turn * a.localeCompare(b, "en", {numeric: true});
  const lacks = text => text === "" ? 1 : 0;
  const rows = [...body.rows].map(row => [key(row), row]);
  rows.sort(([a], [b]) => lacks(a) - lacks(b) || compare(a, b));
  body.append(...rows.map(([, row]) => row));
  head.forEach(other => other.removeAttribute("aria-sort"));
  head[place].setAttribute("aria-sort", down ? "descending" : "ascending");
}
head.forEach((own, place) => own.firstChild.addEventListener("click", () => {
  const now = own.getAttribute("aria-sort");
  sort(place, now ? now === "ascending" : own.className === "number");
}));
const asked = head.findIndex(own => own.id === decodeURIComponent(location.hash.slice(1)));
if (asked >= 0) sort(asked, head[asked].className === "number");
"""


class _Cell(NamedTuple):
    """A cell of the page: its text, and the number that it is sorted by, or NaN."""

    text: str
    value: float = math.nan


_COLUMNS = {
    "task": "", "method": "", "file": "long", "protocol": "long", "metric": "", "score %": "number",
    "95 % interval": "number", "seed": "number", "parameters": "number", "multiply-adds": "number",
    "search FLOPs": "number", "search time": "number", "meta-training FLOPs": "number", "space": "",
    "architecture": "long", "hardware": "long",
}  # fmt: skip
"""The headings, each with the class of its cells; long texts are cut, and shown in full under the pointer."""


def read_folder(folder: Path) -> dict[str, list[ResultRow]]:
    """The rows of all files of results below a folder, by their path in it; damaged ones cause a warning."""
    # The `result.json` that a search keeps of each pair is left out if its `results.json` has the same row.
    found: dict[str, list[ResultRow]] = {}
    for file in sorted(folder.rglob("*.json")):
        if file.name == "result.json" and any((one / "results.json").is_file() for one in file.parents[3:4]):
            continue
        try:
            with open_regular(file) as stream:
                begin = stream.read(200)
            if _RESULTS.match(begin):
                found[file.relative_to(folder).as_posix()] = read_results(file)
        except (OSError, ValueError) as error:
            warnings.warn(f"Left out: {printable(str(error), 300)}", stacklevel=3)
    if not found:
        raise ValueError(f"There are no results in '{folder}': give the folder of a search, a test or a run.")
    return found


def leaderboard_page(results: Sequence[tuple[str, ResultRow]]) -> str:
    """The page of results, each with its file's name, sorted by tasks and scores until a heading is clicked on."""
    # Names may be anyone's: they are escaped, and the page forbids the browser every other script, style and address.
    ordered = sorted(results, key=lambda one: (one[1].task_id, *_protocol(one[1].protocol), -one[1].value))
    heads = "".join(
        f'<th scope="col" id="{_fragment(name)}" class="{kind}"><button>{name}</button></th>'
        for name, kind in _COLUMNS.items()
    )
    lines = "\n".join(f"<tr>{''.join(map(_cell, _cells(file, row), _COLUMNS.values()))}</tr>" for file, row in ordered)
    policy = f"default-src 'none'; style-src {_digest(_STYLE)}; script-src {_digest(_SCRIPT)}"
    files = number_of(len({file for file, _ in results}), "file")
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>Leaderboard</title>
<style>{_STYLE}</style>
<h1>Leaderboard</h1>
<p>{number_of(len(results), "result")} of {files}. Click on a heading to sort. Scores are of test examples: a network
that is chosen by them looks better than it is. FLOPs of a search are its training FLOPs.</p>
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{lines}
</tbody>
</table>
<script>{_SCRIPT}</script>
</html>
"""


def _cells(file: str, row: ResultRow) -> list[_Cell]:
    """The row's cells in the order of ``_COLUMNS``."""
    (low, high), interval = bounds(row.value, row.ci95), ""
    if not math.isnan(low):
        interval = f"[{100 * low:.1f}, {100 * high:.1f}]"
    method, time = row.method, _Cell("")
    if row.stopped:
        method += ", stopped early"
    if row.cost.seconds:
        time = _Cell(duration(row.cost.seconds), row.cost.seconds)
    chosen = ""
    if row.architecture is not None:
        chosen = describe_chosen(row.architecture, row.ensemble, row.linear)
    return [
        _Cell(row.task_id),
        _Cell(method),
        _Cell(file),
        _Cell(" ".join(_protocol(row.protocol))),
        _Cell(row.metric),
        _Cell(f"{100 * row.value:.1f}", row.value),
        _Cell(interval, low),
        _Cell(str(row.seed), row.seed),
        _number(row.parameters),
        _number(row.flops),
        _number(row.cost.flops),
        time,
        _number(row.meta_cost.flops),
        _Cell(row.space),
        _Cell(chosen),
        _Cell(row.hardware),
    ]


def _number(value: int) -> _Cell:
    if not value:
        return _Cell("")
    return _Cell(with_prefix(value), value)


def _protocol(protocol: Protocol) -> tuple[str, str]:
    if not protocol.way or not protocol.shot:
        return protocol.name, ""
    return protocol.name, f"{protocol.way}-way {protocol.shot}-shot"


def _cell(cell: _Cell, kind: str) -> str:
    text = escape(printable(cell.text, 2000))
    if kind == "long":
        return f'<td class="long" title="{text}">{text}</td>'
    if kind != "number":
        return f'<td class="{kind}">{text}</td>'
    value = repr(cell.value) if math.isfinite(cell.value) else ""
    return f'<td class="number" data-value="{value}">{text}</td>'


def _fragment(name: str) -> str:
    """The heading's name after ``#``: its words joined by hyphens."""
    return "-".join(re.findall(r"\w+", name))


def _digest(text: str) -> str:
    """The name of a script or a style in the browser's policy."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
