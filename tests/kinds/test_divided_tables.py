"""Test parts by a column, and what is left out: `test_by` and `exclude`."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_tables import write

from lit_metanas.kinds.dates import parts_by_column
from lit_metanas.kinds.given_data import describe_columns, read_given
from lit_metanas.kinds.kind import kind_named, kind_of
from lit_metanas.kinds.kind_of_path import raw_digest


def rows_of(number: int = 100, **columns: Any) -> list[dict[str, Any]]:
    """Rows of a number, a text and a class, and of columns that are functions of the place."""
    return [
        {
            "size": place * 7 % 103 + 0.5,
            "text": f"this is the sentence {place} of all",
            **{name: make(place) for name, make in columns.items()},
            "label": "ab"[place % 2],
        }
        for place in range(number)
    ]


def day(place: int) -> str:
    """Of ten rows one date, in an order of its own."""
    return str(date(2024, 1, 1) + timedelta(days=(place * 3 % 100) // 10))


@pytest.mark.parametrize("kind", ["rows", "texts", "tables"])
@pytest.mark.parametrize("form", [str, lambda text: date.fromisoformat(text).strftime("%d.%m.%Y")])
def test_the_newest_rows_are_tested_and_those_before_them_chosen_by(kind: str, form: Any, tmp_path: Path) -> None:
    rows = rows_of(when=lambda place: form(day(place)))
    path = write(tmp_path / "table.csv", rows)
    task = read_given(path, test_by="when", kind=kind)
    assert [len(part) for part in (task.train, task.val, task.test)] == [60, 20, 20]  # type: ignore[arg-type]
    newest = [place for place in range(100) if day(place) >= "2024-01-09"]
    chosen = [place for place in range(100) if "2024-01-07" <= day(place) < "2024-01-09"]
    if kind != "texts":
        assert sorted(task.test_names) == sorted(f"line {place + 2}" for place in newest)
    for part, places in ((task.test, newest), (task.val, chosen)):
        assert part is not None
        wanted = task.preprocessing.encode([raw(rows[place], kind) for place in places])  # type: ignore[union-attr]
        assert sorted(part.inputs.tolist()) == sorted(wanted.tolist())
    told = describe_columns(path, kind_named(kind), None, None, "when")
    border, last = form("2024-01-07"), form("2024-01-09")
    assert told.endswith(f" Rows to choose by are from {border} on in column 'when', to test from {last} on.")


def raw(row: dict[str, Any], kind: str) -> Any:
    return row["text"] if kind == "texts" else row


@pytest.mark.parametrize("objective", ["classification", "regression"])
def test_a_column_names_the_parts(objective: str, tmp_path: Path) -> None:
    rows = rows_of(split=lambda place: ("Train", "train", "test")[place % 3], price=lambda place: place + 0.5)
    given: dict[str, Any] = {"label": "price"} if objective == "regression" else {}
    path = tmp_path / "table.csv"
    task = read_given(write(path, rows), kind="rows", test_by="split", **given)
    assert task.goal.kind == objective
    assert {int(name.split()[1]) % 3 for name in task.test_names} == {1}  # the first row stands in line 2
    assert (len(task.test), len(task.train) + len(task.val or [])) == (33, 67)
    assert 17 <= len(task.val or []) <= 25
    assert "split" not in task.preprocessing.names  # type: ignore[union-attr]
    rows = [{**row, "split": row["split"].replace("Train", "dev")} for row in rows]
    task = read_given(write(path, rows), kind="rows", test_by="split", **given)
    assert [len(part) for part in (task.train, task.val, task.test)] == [33, 34, 33]  # type: ignore[arg-type]


def test_numbers_grow_with_time_and_equal_ones_stay_together() -> None:
    draw = np.random.default_rng(0)
    years = draw.integers(1990, 2020, 500)
    rows = [(f"line {place}", {"year": str(year)}) for place, year in enumerate(years.tolist())]
    parts = np.array([*parts_by_column(rows, "table.csv", "year").parts.values()])
    assert years[parts == 0].max() < years[parts == 1].min() <= years[parts == 1].max() < years[parts == 2].min()
    for part in (1, 2):
        others = [abs(float(np.mean(years >= year)) - 0.2 * (3 - part)) for year in range(1990, 2020)]
        assert abs(float(np.mean(parts >= part)) - 0.2 * (3 - part)) == pytest.approx(min(others))


def test_numbers_to_predict_may_grow_with_time(tmp_path: Path) -> None:
    rows = [f"{2000 + number},{number % 7},{10 * number + 0.5}" for number in range(40)]
    (tmp_path / "sales.csv").write_text("\n".join(["year,shop,sales", *rows]))
    task = read_given(tmp_path / "sales.csv", label="sales", test_by="year")
    assert float(task.train.labels.max()) < float(task.test.labels.min())
    assert (len(task.train), len(task.val or ()), len(task.test)) == (24, 8, 8)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (lambda place: "test", "Column 'part' of 'table.csv' holds no 'train': name rows of both parts."),
        (lambda place: "train", "Column 'part' of 'table.csv' holds no 'test': name rows of both parts."),
        (lambda place: ("train", "test", "tset")[place % 3], "holds 'tset' at line 4: write train, val or test; or"),
        (lambda place: ("2024-01-01", "1.2.2024")[place % 2], "holds '2024-01-01' at line 2: write train, val or test"),
        (lambda place: 2000 + place % 2, "has 2 different values, too few to divide rows by: it takes three or more."),
        (lambda place: "inf" if place == 5 else place, "holds '2' at line 4: write train, val or test"),
        (lambda place: "" if place == 5 else "train", "has no value at line 7: fill it in, as it says which rows are"),
        (lambda place: ("train", "test")[place % 2], "Class 'b' of .* has 0 examples, too few"),
    ],
)
def test_columns_that_do_not_divide_are_refused(value: Any, told: str, here: Path) -> None:
    write(here / "table.csv", rows_of(part=value))
    with pytest.raises(ValueError, match=told):
        read_given("table.csv", kind="rows", test_by="part")


def test_a_second_way_to_divide_is_refused(images: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", rows_of(when=day))
    for other in ({"group": "text"}, {"test": path}):
        with pytest.raises(ValueError, match=f"'test_by' and '{next(iter(other))}' both say which examples are tested"):
            read_given(path, test_by="when", **other)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"has no column 'whem' \(test_by\): did you mean 'when'\?"):
        read_given(path, test_by="whem", kind="rows")
    with pytest.raises(ValueError, match="names a column of a file, and the data are none"):
        read_given(([[1.0, 2.0]] * 9, "abc" * 3), test_by="when")
    with pytest.raises(ValueError, match="Data of the kind 'images' have no 'test_by': leave it out"):
        read_given(images, test_by="when")


def test_columns_and_files_are_left_out(images: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", rows_of(weight=lambda place: place * 3 % 17 + 0.1, when=day))
    shapes = {}
    for exclude in ([], ["text"], ["size", "weight", "when"], ["w*n", "size"]):
        task = read_given(path, exclude=exclude)
        shapes[",".join(exclude)] = kind_of(task).name, getattr(task.preprocessing, "names", ())
    assert shapes == {
        "": ("tables", ("size", "text", "weight", "when")),
        "text": ("rows", ("size", "weight", "when")),
        "size,weight,when": ("texts", ()),
        "w*n,size": ("tables", ("text", "weight")),
    }
    task = read_given(images, exclude=["[4-9].png"])
    assert len(task.train) + len(task.val or []) + len(task.test) == 8
    assert {Path(name).stem for name in task.test_names} <= {*"0123"}
    kind = kind_of(task)
    assert raw_digest(images, kind, None, None, ["[4-9].png"]) != raw_digest(images, kind, None, None)
    assert len(read_given(images, exclude=["dark/[3-9]*"], min_per_class=1).train) < len(read_given(images).train)
    with pytest.raises(ValueError, match="has no columns but those that 'exclude' names: keep some"):
        read_given(path, exclude=["*"])
    for data in (path, images):
        for idle in ("none", ""):
            with pytest.raises(ValueError, match=f"exclude = '{idle}' names no column and no file: correct"):
                read_given(data, exclude=[idle])
