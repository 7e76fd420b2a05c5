"""Texts and tables that would take minutes or the whole memory: what was read, or one sentence, within seconds."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzz_tools import CASES, Case, cases, edited, limits
from hypothesis import given

import lit_metanas as lm
from lit_metanas.io.text import composed
from lit_metanas.kinds.read_examples import ReadExamples, read_new_examples

MARKS = "\u0301\u0316\u0334\u0345\u0344\u0f73\u0f71\u3099"
"""Those of different classes, which are to be sorted, and two that stand for several."""

LETTERS = [*MARKS, *map(chr, range(0x300, 0x34F)), *"aeo =\u00e9\u01f0\u09c7\u09be\u1100\u1161\u11a8\uac00か\xa0\u3000"]


def marked(number: int) -> str:
    """A letter with so many marks."""
    random = Random(0)
    return "a" + "".join(random.choice(MARKS) for _ in range(number))


@cases(400, 40_000)
@given(random=CASES)
def test_letters_are_composed_as_unicode_says(random: Case) -> None:
    text = "".join(random.choice(LETTERS) for _ in range(random.choice([3, 20, 300])))
    assert composed(text) == unicodedata.normalize("NFC", text)


def table(folder: Path) -> Path:
    path = folder / "t.csv"
    rows = [f"{marked(99_000) if number == 3 else f'word {number}'},{'ab'[number % 2]}" for number in range(20)]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return path


def passages(folder: Path) -> Path:
    def paragraph(name: str, place: str) -> dict[str, Any]:
        answer = {"text": place, "answer_start": len(name) + 10}
        asked = {"id": name, "question": f"Where does {name} live?", "answers": [answer]}
        return {"context": f"{name} lives in {place}, they say. {marked(90_000)}", "qas": [asked]}

    homes = {"Ada": "Rome", "Tom": "Oslo", "Eve": "Bonn", "Max": "Bern", "Lea": "Wien"}
    told = [paragraph(*pair) for pair in homes.items()]
    path = folder / "s.json"
    path.write_text(json.dumps({"data": [{"title": "lives", "paragraphs": told}]}))
    return path


def test_many_marks_on_a_letter(tmp_path: Path) -> None:
    texts, questions, text = str(table(tmp_path)), str(passages(tmp_path)), marked(99_000)
    words = lm.kinds.Words(least=1, steps=320)
    made = lm.kinds.QuestionWords(words, newest_first=False).fitted(["Who is it?", "it is a"])
    readers: list[Callable[[], Any]] = [
        lambda: lm.TextTask(texts)[0],
        lambda: lm.kinds.TextTable(texts, train=["a"], test=["b"]),
        lambda: lm.SquadTask(questions)[0],
        lambda: lm.task_from_texts([text, *"bcdefghij"], [0, 1] * 5),
        lambda: made.encode([(question, text) for question in ("Who?", "What?")]),
        lambda: made.answers([("Who?", text)], [(0, 9)]),
        lambda: lm.kinds.Characters(steps=10_000).fitted([text]).encode([text] * 10),
        lambda: lm.kinds.BytePairs(steps=64).fitted([text, "-" * 99_000, "a" + " " * 99_000]).encode([text]),
    ]
    for read in readers:
        with limits():
            assert read() is not None


def new_rows(path: str) -> ReadExamples:
    return read_new_examples([path], "rows")


READERS = (lm.TextTask, lm.TableTask, new_rows, lm.kinds.TextTable)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_keys_of_their_own_in_each_line(reader: Callable[[str], Any], tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    with path.open("w") as file:
        for number in range(60_000):
            row = {f"k{number}": number, "text": f"word {number}", "label": "ab"[number % 2]}
            file.write(f"{json.dumps(row)}\n")
    with limits(), pytest.raises(ValueError, match=r"keys\.jsonl' has more than 1000 columns by line 999: give all"):
        reader(str(path))


ROWS = [[1.5 * n, "abc"[n % 3], f"2020-01-{n % 28 + 1:02d}", None if n % 4 else n, n == 3] for n in range(40)]


@cases(40, 4_000)
@given(random=CASES)
def test_stored_columns_work_or_are_refused(random: Case) -> None:
    scale: Any = random.choice(["standardised", "quantiles", "pieces", "together"])
    made = lm.kinds.Columns(tuple("abcde"), scale).fitted(ROWS)
    plain, told = edited(random, json.loads(json.dumps(made.to_plain())), most=2)
    try:
        columns = lm.kinds.Columns.from_plain(plain)
        inputs = columns.encode(ROWS)
    except ValueError:
        return
    assert inputs.isfinite().all(), told
    assert len(columns.show(inputs)) == len(ROWS), told
