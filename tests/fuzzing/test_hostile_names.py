"""Names that others have chosen: what pages, cells and terminals make of them."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzz_tools import CASES, Case, cases
from hypothesis import given
from markdown_it import MarkdownIt
from untrained import export_untrained

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.comparisons.model_card import card_text
from lit_metanas.io.text import cell_text, markdown_lines, markdown_text

HOSTILE = (
    "<script>alert(1)</script><img src=//evil.example>",
    "![x](http://evil.example/x.png) [y](javascript:z) www.evil.example",
    "\x1b]0;owned\x07\x9b2J\u202e|`$x$`|~~a~~\\|\\",
    "# a\n\n- b\n---\n<b>c</b>\r&lt;",
)
"""Each harmful on a page or a terminal, and with a pipe, which ends a cell."""

PIECES = [*HOSTILE, "`", "|", "\\", "[", "](http://c)", "!", "<", ">", "&", "*", "_", "$", "a", " ", "http://d"]


def rendered(markdown: str) -> str:
    """A page of Markdown as HTML, in which pages of Markdown may have elements of their own."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)


def check_page(markdown: str, pictures: set[str]) -> None:
    """Whether a page holds no other elements than those that a writer of ours puts there, and no codes."""
    page = rendered(markdown)
    known = {"p", "em", "li", "ul", "img", "pre", "code", "h1", "h2", "h3", "hr"}
    known |= {"table", "thead", "tbody", "tr", "th", "td"}
    assert set(re.findall(r"</?([a-z][a-z0-9]*)", page)) <= known
    assert set(re.findall(r'src="([^"]*)"', page)) <= pictures
    assert not re.search(r"(?<!\u200b)://|www\.", page.replace("https://huggingface.co", ""))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    for row in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        cells = {len(re.findall(r"<t[hd]", line)) for line in re.findall(r"<tr>.*?</tr>", row, re.DOTALL)}
        assert len(cells) == 1, "a name has ended a cell"


@cases(120, 20_000)
@given(random=CASES)
def test_markdown_shows_a_text_as_it_is(random: Case) -> None:
    text = "".join(random.choice(PIECES) for _ in range(random.randint(0, 12)))
    check_page(f"a {markdown_text(text)} b", set())
    check_page(markdown_lines([("a", "b"), ("---",) * 2, (text, "c")]), set())


def row(name: str) -> lm.records.ResultRow:
    spent = lm.Cost(flops=10**6, seconds=1.0)
    protocol = lm.records.Protocol("target", way=2, shot=3, batch_norm=name)
    return lm.records.ResultRow(
        name, name, name, lm.Architecture({name: name}), {}, 0, protocol, 0.5, 0.1, spent, spent, 10, 20,
        hardware=name, config=name, metric=name, class_values={name: 0.5, f"{name}2": 0.25},
    )  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_of_received_files(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(name), replace(row(f"{name}b"), task_id=name, protocol=row(name).protocol, metric=name)]
    lm.records.write_results("results.json", rows)
    architecture, recipe = lm.Architecture({name: name}), {"preprocessing": name}
    chosen = lm.records.ArchitectureRow(name, name, name, architecture, 0.5, recipe=recipe, metric=name)
    lm.records.write_architectures("architectures.json", [chosen])
    words = ["--results+=results.json", "--architectures=architectures.json", f"--reference={name}"]
    assert main(["report", *words, f"--subject={name}b"]) == 0
    pictures = {file.name for file in Path("report").glob("*.png")}
    page = Path("report/report.md").read_text(encoding="utf-8")
    check_page(page, pictures)
    told = capsys.readouterr()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", told.out + told.err)
    for table in lm.report.tables(rows):
        check_page(lm.report.to_markdown(table), set())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_model_card_shows_a_text_as_it_is(name: str) -> None:
    part = lm.Split(torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
    task = lm.Task(name, way=2, train=part, val=part, test=part, classes=(name, "b"))
    space = lm.LayeredSpace(depths=(1,), widths=(4,))
    found = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1), progress=False)
    result = replace(found, space=name, architecture=lm.Architecture({name: name}), view=name, encoder=name)
    card = card_text(result, "unknown", command="")
    check_page(card.split("---\n", 2)[2], set())


CLASSES = ("=1+1", "-3.5", "\x1b[2J\x07", "@home")


def predicted(texts: list[str]) -> None:
    """Predict for texts by a network that was not trained, into ``predictions.csv`` and onto the terminal."""
    made = lm.kinds.Characters(steps=4).fitted(["abcd"])
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,), readouts=("max",))
    export_untrained(space, made.shape, CLASSES, preprocessing=made)
    Path("new.txt").write_text("\n".join(texts), encoding="utf-8")
    assert main(["predict", "out", "new.txt"]) == 0


def test_predictions_are_no_formulas_and_no_codes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicted(['=HYPERLINK("http://evil")', "+1", "-1,5e3", "-b", "@c", "\x1b[31mred", "＝1", "plain\xa0text"])
    assert "\x1b" not in capsys.readouterr().out
    assert main(["predict", "out", "new.txt", "--csv"]) == 0
    printed, written = capsys.readouterr().out, Path("predictions.csv").read_text(encoding="utf-8")
    assert printed == written
    assert "\x1b" not in written
    head, *rows = csv.reader(io.StringIO(written))
    assert head == ["text", "class", "probability", "p(=1+1)", "p(-3.5)", "p(�[2J�)", "p(@home)"]
    assert [found[0] for found in rows] == [
        '\'=HYPERLINK("http://evil")', "+1", "-1,5e3", "'-b", "'@c", "�[31mred", "'＝1", "plain\xa0text",
    ]  # fmt: skip
    assert {found[1] for found in rows} <= {"'=1+1", "-3.5", "�[2J�", "'@home"}
    assert [cell_text(name) for name in CLASSES] == ["'=1+1", "-3.5", "�[2J�", "'@home"]
    assert all(0 <= float(cell) <= 1 for found in rows for cell in found[2:])


def test_errors_and_results_show_names_without_codes(tmp_path: Path) -> None:
    hidden = "\x1b]0;owned\x07"
    table = tmp_path / f"t{hidden}.csv"
    rows = ["text,label", *(f"word {number},{hidden}{number % 4}" for number in range(6))]
    table.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^Class '.*' of '.*' has \d examples?, too few") as caught:
        lm.TextTask(str(table))[0]
    assert str(caught.value).isprintable()
    part = lm.Split(torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
    task = lm.Task(hidden, way=2, train=part, val=part, test=part, classes=(f"a{hidden}", f"b{hidden}"))
    space = lm.LayeredSpace(depths=(1,), widths=(4,))
    result: Any = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1), progress=False)
    assert all(line.isprintable() for line in repr(result).splitlines())
