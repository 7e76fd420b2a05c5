"""Tables as people have them: categories, booleans, dates, gaps, ids, from files, arrays and data frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from written_tables import Frame, write

import lit_metanas as lm
from lit_metanas.kinds.given_data import describe_given, read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.kinds.rows import columns as column_module

NUMBER, TREES = 80, ["oak", "ash", "elm"]


def rows_of(number: int = NUMBER) -> list[dict[str, Any]]:
    """Rows whose label is that of a tree and a boolean."""
    draw = np.random.default_rng(0)
    found = []
    for place in range(number):
        tree, old = TREES[draw.integers(3)], bool(draw.integers(2))
        found.append(
            {
                "tree": tree,
                "old": old,
                "height": None if draw.random() < 0.2 else round(float(draw.normal(20, 5)), 2),
                "planted": f"19{50 + place % 40}-0{1 + place % 9}-1{place % 10}",
                "name": f"T{place}-{draw.integers(10**6)}",
                "country": "here",
                "label": "fell" if tree == "oak" and old else "leave",
            }
        )
    return found


def test_files_and_data_frames_are_one_table(tmp_path: Path) -> None:
    rows = rows_of()
    tasks = [read_given(write(tmp_path / f"trees.{form}", rows)) for form in ("csv", "tsv", "jsonl")]
    columns = [name for name in rows[0] if name != "label"]
    types = {"planted": "datetime64[ns]", "old": None}
    frame = Frame({name: np.array([row[name] for row in rows], dtype=types.get(name, object)) for name in columns})
    tasks.append(lm.task_from_arrays(frame, [row["label"] for row in rows]))  # type: ignore[arg-type]
    tasks.append(lm.task_from_arrays([[row[name] for name in columns] for row in rows], [row["label"] for row in rows]))
    for task in tasks:
        assert kind_of(task).name == "rows"
        assert task.shape == lm.RowShape(3 + 2 + 18 + 4 + 1)  # trees, boolean, height and its gaps, date, share
        assert all(torch.equal(task.train.inputs, other.train.inputs) for other in tasks)
    made = tasks[0].preprocessing
    assert isinstance(made, lm.kinds.Columns)
    assert made.left_out == "'name' (texts that hardly repeat), 'country' (constant)"
    told = "80 rows of 2 classes, without 'name' (texts that hardly repeat), 'country' (constant): 48 to learn from"
    assert told in describe_given(tasks[0], kind_of(tasks[0]))
    encoded = made.encode(rows)
    for row, inputs in zip(rows, encoded.tolist(), strict=True):
        assert inputs[:3] == [float(row["tree"] == tree) for tree in made.columns[0].categories]  # type: ignore[attr-defined]
        assert inputs[4] == row["old"]
        assert inputs[22] == 4 * inputs[-1] == float(row["height"] is None)
    assert made.show(made.encode(rows[:1]))[0].startswith(f"tree {rows[0]['tree']}, old {int(rows[0]['old'])}, height ")


def test_new_rows_lack_columns_that_are_left_out_and_have_new_categories(tmp_path: Path) -> None:
    rows = rows_of(200)
    made = read_given(write(tmp_path / "trees.csv", rows)).preprocessing
    assert isinstance(made, lm.kinds.Columns)
    new = [{**row, "extra": "x"} for row in rows[:5]] + [{**rows[0], "tree": "a new kind"}]
    for row in new:
        del row["name"], row["country"], row["label"]
    assert torch.equal(made.encode(new)[:5], made.encode(rows[:5]))
    assert not bool(made.encode(new)[5, :3].any())
    new[3]["planted"] = "31.12.1999"
    told = "Column 'planted' of the table holds '31.12.1999' at row 4, which is no date in the form of '2026-01-31': "
    with pytest.raises(ValueError, match=told):
        made.encode(new)


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("weight", ["3 kg", *range(2, 40)], "'3 kg' at line 2, which is no finite number: give numbers with a point"),
        ("weight", [f"{n},5" for n in range(40)], "'0,5' at line 2, which is no finite number: give numbers with a"),
        ("weight", [f"{n} kg" for n in range(40)], "'0 kg' at line 2, which is no finite number: give numbers with"),
        ("on", ["2020-01-31", *["31.01.2020"] * 38], "'2020-01-31' at line 2, which is no date in the form of '31.01."),
        ("on", ["soon", *["31.01.2020 10:00"] * 38], "'soon' at line 2, which is no date in the form of"),
    ],
)
def test_a_cell_of_another_kind_gets_one_sentence(column: str, values: list[Any], told: str, tmp_path: Path) -> None:
    table = [{column: value, "height": n % 5, "label": "ab"[n % 2]} for n, value in enumerate(values)]
    with pytest.raises(ValueError, match=rf"Column '{column}' of '.*' holds {told}") as caught:
        read_given(write(tmp_path / "t.csv", table))
    assert str(caught.value).count(". ") == 0


def table_kind(path: Path, head: str, *rows: str) -> str:
    path.write_text("\n".join([head, *(rows[n % len(rows)].replace("#", str(n)) for n in range(40))]))
    return kind_of(read_given(str(path))).name


@pytest.mark.filterwarnings("ignore:.*repeats .* texts of the same class")
@pytest.mark.parametrize(
    ("kind", "head", "rows"),
    [
        ("rows", "colour,size,label", ["red,1,a", "blue,#,b"]),
        ("rows", "colour,size,label", ["red,small,a", "blue,large,b", "red,large,a"]),
        ("rows", "name,age,label", ["Ann #,1,a", "Bob #,#,b"]),
        ("rows", "when,label", ["2020-01-01,a", "2021-02-02,b"]),
        ("rows", "on,label", ["true,a", "false,b"]),
        ("rows", "title,age,label", ["Mr,1,a", "Mrs,#,b"]),
        ("rows", "code,age,target", ["7,1,a", "8,#,b", "8x,#,a"]),
        ("tables", "text,age,label", ["how are you #,1,a", "I am # well,#,b"]),
        ("tables", "title,price,label", ["Emma #,1,a", "Ulysses #,#,b"]),
        ("texts", "title,price,label", ["Emma #,1,a", "Ulysses #,1,b"]),
        ("texts", "word,label", ["walk#,a", "go#,b"]),
        ("texts", "colour,label", ["red,a", "red #,b", "blue #,a"]),
        ("pairs", "source,target", ["2020-01-#,on day # of January", "# times,that often #"]),
    ],
)
def test_what_a_table_is_taken_for(kind: str, head: str, rows: list[str], tmp_path: Path) -> None:
    assert table_kind(tmp_path / "t.csv", head, *rows) == kind


def test_sentences_are_not_left_out_unasked(tmp_path: Path) -> None:
    several = "how are you #,I am # well,a", "who is it #,only me #,b"
    assert table_kind(tmp_path / "t.csv", "body,answer,label", *several) == "texts"
    assert table_kind(tmp_path / "t.csv", "body,age,label", "how are you #,1,a", "I am # well,1,b") == "texts"
    assert table_kind(tmp_path / "t.csv", "body,age,label", "how are you #,1,a", "I am # well,#,b") == "tables"
    task = read_given(str(tmp_path / "t.csv"), kind="rows")
    assert isinstance(task.preprocessing, lm.kinds.Columns)
    assert task.preprocessing.left_out == "'body' (texts that hardly repeat)"


def test_a_count_of_the_rows_is_left_out() -> None:
    count, draw = list(range(7, 107)), np.random.default_rng(0)
    years = draw.integers(1900, 2000, 100).tolist()
    rows = [[place, float(draw.normal()), year] for place, year in zip(count, years, strict=True)]
    draw.shuffle(rows)
    assert lm.kinds.Columns().fitted(rows).left_out == "'1' (numbers of rows)"
    assert lm.kinds.Columns().fitted(rows[:49]).left_out == ""  # too few to tell


def test_rare_and_new_categories_share_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [["red"]] * 5 + [["blue"]] * 4 + [["green"], ["pink"], [None]]
    made = lm.kinds.Columns(("colour",)).fitted(texts)
    found = made.encode([["red"], ["pink"], ["a new one"], ["?"]]).tolist()
    assert found == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1]]
    assert made.show(made.encode([["red"], ["new"], [""]])) == ["colour red", "colour rare", "colour ?"]
    monkeypatch.setattr(column_module, "MOST_INPUTS", 2 * len(texts))
    assert lm.kinds.Columns(("colour",)).fitted([["x"], *texts[1:]]).columns[0].categories == ("blue", "red")  # type: ignore[attr-defined]
    long = [[n * "a" + 300 * "b"] for n in (1, 1, 2, 2)]
    assert lm.kinds.Columns().fitted(long).shape == lm.RowShape(3)
    assert lm.kinds.Columns().fitted([[300 * "a" + text] for text in "bbcc"] + [["d"]]).shape == lm.RowShape(3)
