"""Tables with a text and other columns: from file to prediction, by Python and command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_script import answers
from written_tables import write

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.given_data import describe_columns, describe_given, other_ways, read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.kinds.kind_of_path import kind_of_path
from lit_metanas.kinds.stored_preprocessing import read_preprocessing
from lit_metanas.kinds.texts.text_kind import NGRAMS
from lit_metanas.testing import check_space
from lit_metanas.training.export.standalone_rows import encoded_rows

COLUMNS = ["review", "price", "shop"]
SHAPE = lm.inputs.TextRowShape(numbers=3, vocabulary=9, steps=4)


def reviews(number: int = 240, *, numbers: bool = False) -> list[dict[str, Any]]:
    """Rows whose label is a word of the text if the price is low, and another one if it is high."""
    draw, found = np.random.default_rng(0), []
    filling = ["the", "box", "came", "with", "a", "red", "cover", "and", "some", "paper", "inside", "it"]
    for _ in range(number):
        good, price, shop = bool(draw.integers(2)), float(draw.uniform(1, 9)), str(draw.choice(["north", "south"]))
        words = [*draw.choice(filling, 6), "lovely" if good else "dull"]
        row = {"review": " ".join(draw.permutation(words)), "price": round(price, 2), "shop": shop}
        verdict: Any = "keep" if good == (price < 5) else "return"
        if numbers:
            verdict = round(3 * good + price + (shop == "north"), 3)
        found.append({**row, "verdict": verdict})
    return found


def test_a_table_with_a_text_is_read_whole_unless_a_user_names_one_part(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "reviews.csv", reviews()))
    assert kind_of_path(path, None, "verdict").name == "tables"
    task = read_given(path, label="verdict")
    made = task.preprocessing
    assert isinstance(made, lm.kinds.TextRows)
    assert (made.texts, kind_of(task).name) == (("review",), "tables")
    assert task.shape == lm.inputs.TextRowShape(17 + 2 + 1, len(made.tokens.words) + 2, 32)  # type: ignore[union-attr]
    told = describe_given(task, kind_of(task)) + describe_columns(path, kind_of(task), None, "verdict")
    assert "240 rows of 2 classes, with the text in 'review' and the columns 'price', 'shop': 144 to learn from" in told
    assert told.endswith(" 'verdict'. kind='texts' or kind='rows' learns from the text or the columns alone.")
    tagged = [{**row, "verdict": f"{row['shop']}|{row['verdict']}"} for row in reviews()]
    tags = read_given(write(tmp_path / "tags.csv", tagged), label="verdict")
    assert (kind_of(tags).name, tags.classes) == ("tables", ("keep", "north", "return", "south"))
    columns = read_given(path, label="verdict", kind="rows")
    assert columns.shape == lm.RowShape(20)
    assert torch.equal(columns.train.inputs, task.train.inputs[:, :20])
    words = read_given(path, label="verdict", kind="texts")
    assert words.shape == made.tokens.shape  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ("always text label", "texts"),
        ("all text label", "texts"),
        ("number text label", "texts"),
        ("id text name label", "texts"),
        ("id stars text label", "tables"),
        ("stars note label", "tables"),
        ("stars name label", "rows"),
        ("source target stars", "pairs"),
    ],
)
def test_which_tables_have_both(columns: str, kind: str, tmp_path: Path) -> None:
    rows = []
    for place in range(90):
        text = f"this is the sentence {place} of many"
        row = {"always": 3, "number": place, "stars": place % 5 + 0.5 * (place % 2), "id": 10**9 + 7919 * place}
        row |= {"name": f"T{place}", "label": "ab"[place % 2], "source": text, "target": text[::-1]}
        row |= {"text": text, "note": text, "all": "all"}
        rows.append({name: row[name] for name in columns.split()})
    assert kind_of_path(Path(write(tmp_path / "table.csv", rows)), None).name == kind


def test_inputs_are_the_numbers_and_then_the_tokens_by_each_part_alone() -> None:
    rows = [*reviews(50), {"review": "", "price": None, "shop": "west"}]
    cells = [[row[name] for name in COLUMNS] for row in rows]
    for names in (tuple(COLUMNS), ()):
        made = lm.kinds.TextRows(names, tokens=lm.kinds.Words(steps=5)).fitted(cells)
        inputs = made.encode(cells)
        others = lm.kinds.Columns(names[1:]).fitted([row[1:] for row in cells])
        words = lm.kinds.Words(steps=5).fitted([row[0] for row in cells])
        numbers, tokens = made.shape.split(inputs)
        assert torch.equal(numbers, others.encode([row[1:] for row in cells]))
        assert torch.equal(tokens, words.encode([row[0] for row in cells]))
        assert read_preprocessing(json.loads(json.dumps(made.described()))) == made
    named = lm.kinds.TextRows(tuple(COLUMNS), tokens=lm.kinds.Words(steps=5)).fitted(cells)
    assert torch.equal(named.encode([dict(reversed(row.items())) for row in rows]), inputs)
    several = lm.kinds.TextRows(places=(0, 2)).fitted(cells)
    assert several.texts == ("1", "3")
    assert several.show(several.encode(cells[:1]))[0].endswith(f" {cells[0][2]}")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([[1.0, "a"], [2.0, "b"]], "No column of the table holds texts: call one 'text'"),
        ([["one fine day"], ["two fine days"]], "There is nothing in 2 rows of 0 columns"),
    ],
)
def test_rows_without_both_are_refused(rows: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        lm.kinds.TextRows().fitted(rows)


def test_new_rows_lack_a_column_or_have_another_number() -> None:
    cells = [[row[name] for name in COLUMNS] for row in reviews(20)]
    made = lm.kinds.TextRows(tuple(COLUMNS)).fitted(cells)
    with pytest.raises(ValueError, match="Row 1 lacks column 'review', which was learned from"):
        made.encode([{"price": 1, "shop": "north"}])
    with pytest.raises(ValueError, match="The rows have 2 columns, and 3 were learned from"):
        made.encode([[1.0, "north"]])
    for cheap in ([{"price": "cheap", "shop": "north", "review": "all well"}], [["all well", "cheap", "north"]]):
        with pytest.raises(ValueError, match="Column 'price' of the table holds 'cheap' at line 7"):
            made.encode(cheap, ["line 7"])
    for plain in ({}, {**made.to_plain(), "places": []}, {**made.to_plain(), "tokens": None}):
        with pytest.raises(ValueError, match=r"the stored preprocessing|The stored tokens"):
            lm.kinds.TextRows.from_plain(plain)
    wrong = [{"names": names, "places": [0]} for names in (["a", "a", "b"], [[], "a", "b"], ["a"])]
    wrong += [{"names": [], "places": places} for places in ([3], [-1], [0, 0])]
    for each in wrong:
        with pytest.raises(ValueError, match="TextRows: a "):
            lm.kinds.TextRows.from_plain({**made.to_plain(), **each})


@pytest.mark.parametrize("shared", [True, False])
def test_networks_read_both(shared: bool) -> None:
    text = lm.SequenceSpace(operations=("conv_3", "gru"), widths=(8,), depths=(1, 2), shared=shared)
    space = lm.spaces.TextRowSpace(text, lm.MLPSpace(widths=(4, 8), depths=(0, 1, 2), shared=shared))
    check_space(space, SHAPE)
    fixed = lm.spaces.TextRowSpace(text, lm.MLPSpace(shared=shared), fixed={"text.depth": ["2"], "depth": ["0"]})
    architecture = fixed.sample(torch.Generator())
    network = fixed.child(architecture, SHAPE, way=2).eval()
    inputs = torch.tensor([[0.5, 1.0, 0.0, 3.0, 8.0, 0.0, 0.0]])
    numbers, tokens = SHAPE.split(inputs)
    child: Any = network
    wanted = child.head(torch.cat([numbers, child.body.text(tokens)], 1))  # without hidden layers
    torch.testing.assert_close(network(inputs), wanted)


@pytest.mark.parametrize("tested", [False, True], ids=["drawn", "given"])
def test_the_inputs_of_linear_models_are_made_of_a_task(tmp_path: Path, tested: bool) -> None:
    path, test_path = write(tmp_path / "reviews.csv", reviews(60)), None
    if tested:
        test_path = write(tmp_path / "tested.csv", reviews(90)[60:])
    task = lm.TableTask(path, "verdict", test_path=test_path)[0]
    made = other_ways(task, task, kind=None, test=None, group=None)[NGRAMS]()
    assert isinstance(made.preprocessing, lm.kinds.TextRows)
    assert isinstance(made.preprocessing.tokens, lm.kinds.NGrams)
    expected = lm.TableTask(path, "verdict", test_path=test_path, preprocessing=made.preprocessing)[0]
    assert made.test_names == expected.test_names
    for one, other in ((made.train, expected.train), (made.val, expected.val), (made.test, expected.test)):
        assert one is not None
        assert other is not None
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize(("numbers", "flops"), [pytest.param(False, 1.2e10, marks=pytest.mark.slow), (True, 5e9)])
def test_a_search_learns_what_text_and_columns_say_together(
    numbers: bool, flops: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = reviews(500, numbers=numbers)
    found = lm.auto(write(tmp_path / "reviews.csv", rows), label="verdict", flops=flops, output="model", onnx=True)
    assert found.test_score > 0.9
    new = [{**row, "verdict": "", "more": "x"} for row in rows[:5]]
    wanted = lm.load("model").predict(new)
    torch.testing.assert_close(lm.load("model").predict([[row[name] for name in COLUMNS] for row in new]), wanted)
    path = write(tmp_path / "new.csv", new)
    assert main(["predict", "model", path]) == 0
    exported = json.loads(Path("model/model.json").read_text())["input"]["preprocessing"]
    made = read_preprocessing(exported)
    torch.testing.assert_close(torch.tensor(encoded_rows(Path(path), exported)), made.encode(new))
    for program in ("model.pt2", "model.onnx"):
        for answer, row in zip(answers("model/predict.py", path, "--model", program), wanted.tolist(), strict=True):
            shown = [answer["prediction"]] if numbers else [answer[name] for name in found.classes]
            assert shown == pytest.approx(row, rel=1e-3)
