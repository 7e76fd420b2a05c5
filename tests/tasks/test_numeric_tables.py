"""Tables of numbers: standardised by what is learned from, from arrays and files, raw again at predict."""

import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from written_tables import Frame

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.inputs.shapes import RowShape
from lit_metanas.kinds.read_examples import read_new_examples
from lit_metanas.kinds.stored_preprocessing import read_preprocessing

NAN = math.nan
X = np.random.default_rng(0).normal([5.0, -300.0, 1e9], [2.0, 40.0, 3e7], (60, 3))
Y = np.where(X[:, 0] > 5, "high", "low")


def test_columns_are_standardised_by_their_own_numbers():
    columns = lm.kinds.Columns(scale="standardised").fitted(X)
    found = columns.encode(X)
    wanted = (X - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(found[:, :3], wanted, atol=1e-5)
    assert found.dtype == torch.float32
    assert found[:, 3].tolist() == [0.0] * 60
    assert columns.shape == RowShape(4)
    assert columns.fitted(X + 1) is columns  # which stay those of what was learned from
    for again in (X.tolist(), torch.tensor(X), X.astype(object)):
        torch.testing.assert_close(columns.encode(again), found)


def test_a_missing_value_is_the_mean_and_is_counted():
    rows = [[1.0, NAN], [3.0, 4.0], [NAN, 8.0], [None, NAN]]
    columns = lm.kinds.Columns(("a", "b"), "standardised").fitted(rows)
    assert [(one.mean, one.deviation, one.gaps) for one in columns.columns] == [(2.0, 1.0, True), (6.0, 2.0, True)]
    wanted = [[-1, 0, 0, 1, 0.5], [1, 0, -1, 0, 0], [0, 1, 1, 0, 0.5], [0, 1, 0, 1, 1]]
    assert columns.encode(rows).tolist() == wanted
    assert columns.encode([{"b": "8", "a": " NA "}]).tolist() == [[0, 1, 1, 0, 0.5]]
    assert columns.show(columns.encode(rows[:2])) == ["a 1, b ?", "a 3, b 4"]


def test_constant_empty_and_huge_columns():
    rows = np.array([[7.3, NAN, 1e300, 0.0], [7.3, NAN, -1e300, 1e-300]] * 3)
    columns = lm.kinds.Columns(scale="standardised").fitted(rows)
    assert columns.left_out == "'1' (constant), '2' (empty)"
    found = columns.encode(rows)
    torch.testing.assert_close(found[:2], torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]))
    far = columns.encode([[7.3, 5.0, 1.7e308, 1e300], [9.3, 0.0, -1.7e308, 0.0]])
    assert far.isfinite().all()
    assert far.abs().max() == 1000
    with pytest.raises(ValueError, match=r"no column to learn from, as all are left out: '1' \(constant\)"):
        lm.kinds.Columns().fitted(rows[:, :2])


def test_all_columns_can_share_one_mean_and_deviation():
    rows = np.array([[1.0, 10.0], [3.0, NAN], [5.0, 30.0]])
    columns = lm.kinds.Columns(("a", "b"), "together").fitted(rows)
    known = rows[~np.isnan(rows)]
    for column in columns.columns:
        assert (column.mean, column.deviation) == (pytest.approx(known.mean()), pytest.approx(known.std()))
    again = read_preprocessing(columns.described())
    assert again == columns
    torch.testing.assert_close(again.encode(rows), columns.encode(rows))


def test_quantiles_make_any_column_about_normal():
    rows = np.random.default_rng(0).lognormal(sigma=2, size=(2000, 2))
    columns = lm.kinds.Columns(scale="quantiles").fitted(rows)
    found = columns.encode(rows)
    assert columns.shape == RowShape(3)
    assert found[:, :2].mean(0).abs().max() < 0.01
    assert (found[:, :2].std(0) - 1).abs().max() < 0.05
    order = np.argsort(rows[:, 0])
    assert bool((found[order, 0].diff() >= 0).all())
    scores = torch.special.ndtri(torch.tensor([0.25, 0.5, 0.9], dtype=torch.float64)).float()
    quantiles = np.quantile(rows, [0.25, 0.5, 0.9], axis=0)
    torch.testing.assert_close(columns.encode(quantiles)[:, 1], scores, atol=0.02, rtol=0)
    assert columns.encode([[-1e300, 1e300]]).tolist() == [[-3, 3, 0]]
    shown = columns.show(columns.encode(rows[:1]))[0].split(", ")
    assert [float(number) for number in shown] == pytest.approx(rows[0].tolist(), rel=1e-4)


def test_pieces_are_what_the_equation_says():
    rows = np.random.default_rng(1).lognormal(size=(300, 1))
    column = lm.kinds.Columns(scale="pieces").fitted(rows).columns[0]
    edges, values = column.edges, [*rows[:9, 0].tolist(), -1.0, 100.0]
    found = lm.kinds.Columns(scale="pieces").fitted(rows).encode([[value] for value in values])
    assert len(edges) == 17
    assert edges == pytest.approx(np.quantile(rows, np.linspace(0, 1, 17)).tolist())
    for value, row in zip(values, found.tolist(), strict=True):
        wanted = [(value - rows.mean()) / rows.std()]
        for low, high in pairwise(edges):
            if value < low:
                wanted.append(0.0)
            elif value >= high:
                wanted.append(1.0)
            else:
                wanted.append((value - low) / (high - low))
        assert row == pytest.approx([*wanted, 0.0], rel=1e-5, abs=1e-6)
    few = lm.kinds.Columns(("a",), "pieces").fitted([[1], [1], [2], [4], [None]])
    assert few.columns[0].edges[0] == 1
    assert len(few.columns[0].edges) < 17
    again = read_preprocessing(json.loads(json.dumps(few.described())))
    assert torch.equal(again.encode([[3], [None]]), few.encode([[3], [None]]))
    assert few.show(few.encode([[3], [None]])) == ["a 3", "a ?"]


NUMBER = {"kind": "number", "name": "a", "gaps": False, "mean": 1.0, "deviation": 2.0}
KNOTS = [float(place) for place in range(49)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "no names and columns"),
        ([NUMBER, NUMBER], "names are not those of the columns"),
        ([{"kind": "unused", "name": "a", "reason": "empty"}], "all stored columns are left out"),
        ([{**NUMBER, "kind": "colour"}], "a stored column is none of unused, number, quantiles"),
        ([7], "a stored column is none of"),
        ([{**NUMBER, "deviation": 0.0}], "the deviation is not above 0"),
        ([{**NUMBER, "mean": "NaN"}], "the mean is not finite"),
        ([{**NUMBER, "mean": "1"}], "must be a number"),
        ([{**NUMBER, "name": 5}], "must be a text"),
        ([{"kind": "quantiles", "name": "a", "knots": KNOTS[:48]}], "has 48 quantiles, not 49"),
        ([{"kind": "quantiles", "name": "a", "knots": KNOTS[::-1]}], "are not finite, or do not rise"),
        ([{"kind": "pieces", "name": "a", "edges": [0.0]}], "has 1 quantiles, not two or more"),
        ([{"kind": "pieces", "name": "a", "edges": [0.0, 0.0]}], "two edges are equal"),
        ([{"kind": "categories", "name": "a", "categories": ["x", "x"]}], "a category stands twice"),
        ([{"kind": "dates", "name": "a", "form": "%s"}], "the form is none of ISO 8601, "),
        ([{"kind": "dates", "name": "a"}], "or a part is missing"),
    ],
)
def test_damaged_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        lm.kinds.Columns.from_plain({"names": ["a"], "scale": "standardised", "columns": columns})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0]], "The rows have 2 columns, and 3 were learned from"),
        ([1.0, 2.0, 3.0], r"shape \(3,\): give rows"),
        ([[1.0, 2.0], [3.0]], "is no table: give rows of numbers or texts, all of one length"),
        ([[1.0, 2.0, 3.0], [4.0, math.inf, 6.0]], "an infinite value in row 1, column 1"),
        ([{"b": 2}], "Row 1 lacks column 'a', which was learned from: add it"),
        ([{"a": 1, "b": "blue", "c": 3}], "Column 'b' of the table holds 'blue' at row 1, which is no finite number"),
    ],
)
def test_other_rows_are_refused(rows, message):
    columns = lm.kinds.Columns(("a", "b", "c")).fitted(X)
    with pytest.raises(ValueError, match=message) as caught:
        columns.encode(rows)
    assert str(caught.value).count(". ") == 0


def test_arrays_become_a_task_that_knows_its_training_rows_alone():
    task = lm.task_from_arrays(X, Y, val=0.25, test=0.25, seed=3, preprocessing=lm.kinds.Columns(scale="standardised"))
    assert (task.shape, task.classes) == (RowShape(4), ("high", "low"))
    assert task.train.inputs[:, :3].mean(0).abs().max() < 1e-5
    assert task.train.inputs[:, :3].std(0, correction=0).sub(1).abs().max() < 1e-5
    assert task.val.inputs[:, :3].mean(0).abs().max() > 0.01
    raw = {tuple(row): label for row, label in zip(task.preprocessing.encode(X).tolist(), Y, strict=True)}
    for part in (task.train, task.val, task.test):
        assert [raw[tuple(row)] for row in part.inputs.tolist()] == [task.classes[n] for n in part.labels]
    assert Counter(Y.tolist()) == Counter(
        task.classes[label] for part in (task.train, task.val, task.test) for label in part.labels.tolist()
    )
    given = lm.task_from_arrays(X[:40], Y[:40], X[40:], Y[40:])
    torch.testing.assert_close(given.test.inputs, given.preprocessing.encode(X[40:]))


def write(path: str) -> None:
    rows = [",".join([*map(str, row), "", label]) for row, label in zip(X.tolist(), Y, strict=True)]
    Path(path).write_text("\n".join(["a,b,c,empty,class", *rows]))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_raw_rows_are_predicted_by_result_export_and_command(capsys):
    write("table.csv")
    task = lm.TableTask("table.csv", columns=["a", "b", "c"])[0]
    space = lm.MLPSpace(widths=(8,), depths=(2,), shared=True)
    chosen = {"activation": "GELU", "norm": "layer", "dropout": "0.2", "skip": "residual"}
    method = lm.searchers.FixedArchitecture(chosen)
    result = lm.search(task, space, method=method, recipe=lm.Recipe(epochs=60), progress=False)
    assert result.test_accuracy > 0.8
    found = result.predict(X)
    assert np.mean([next(iter(each)) == label for each, label in zip(found, Y, strict=True)]) > 0.8
    for given in (X[:1].tolist(), [dict(zip("abc", X[0], strict=True))]):
        assert result.predict(given) == result.predict(X[0])
    inputs = task.preprocessing.encode(X)
    assert result.predict(inputs) == found  # inputs as the task has them
    assert all(shown.example.startswith("a ") for shown in result.predictions)
    result.export("out")
    exported = lm.load("out")
    assert exported.preprocessing == task.preprocessing
    torch.testing.assert_close(exported.predict(X), exported.network(inputs).softmax(1))
    torch.testing.assert_close(exported.network(inputs), result.network(inputs), atol=1e-5, rtol=1e-5)
    assert main(["predict", "out", "table.csv"]) == 0
    assert "line 2: " in capsys.readouterr().out
    lines = Path("predictions.csv").read_text().splitlines()
    assert lines[1].startswith("line 2,")
    assert lines[0] == "row,class,probability,p(high),p(low)"
    assert [line.split(",")[1] for line in lines[1:]] == [next(iter(each)) for each in found]
    # Beyond the first batch, and of the second file.
    long = ["a,b,c", *["1,2,3"] * 99, "1,2,blue"]
    Path("long.csv").write_text("\n".join(long))
    for others in ([], ["table.csv"]):
        with pytest.warns(UserWarning, match="Column 'c' of the table holds 'blue' at line 101.*, and leave gaps"):
            assert main(["predict", "out", *others, "long.csv"]) == 1
    Path("long.csv").write_text("\n".join([*long[:-1], "1,2,"]))
    assert main(["predict", "out", "table.csv", "long.csv"]) == 0
    assert "\nline 101 of 'long.csv'," in Path("predictions.csv").read_text()


def test_test_rows_and_a_given_preprocessing_go_by_the_names_of_columns():
    columns = dict(zip("abc", X.T, strict=True))
    turned = Frame({name: columns[name][:6] + 1 for name in "cab"})
    for preprocessing in (None, lm.kinds.Columns(scale="quantiles")):
        task = lm.task_from_arrays(Frame(columns), Y, turned, Y[:6], preprocessing=preprocessing)
        assert task.preprocessing.names == ("a", "b", "c")
        assert torch.equal(task.test.inputs, task.preprocessing.encode(X[:6] + 1))
    with pytest.raises(ValueError, match="X_test lacks column 'b', which was learned from"):
        lm.task_from_arrays(Frame(columns), Y, Frame({"a": X[:6, 0], "c": X[:6, 2]}), Y[:6])
    write("table.csv")
    task = lm.TableTask("table.csv", columns=["b", "a"], preprocessing=lm.kinds.Columns(scale="quantiles"))[0]
    rows = [{"a": row[0], "b": row[1], "class": "?"} for row in X[:5]]
    assert torch.equal(task.preprocessing.encode(rows), task.preprocessing.encode(X[:5, [1, 0]]))
    order = lm.kinds.Columns(("c", "a", "b"), "standardised")
    for turned in (
        lm.TableTask("table.csv", columns=["a", "b", "c"], preprocessing=order)[0],
        lm.task_from_arrays(Frame(columns), Y, preprocessing=order),
    ):
        assert turned.preprocessing.names == ("c", "a", "b")
        means = {column.name: column.mean for column in turned.preprocessing.columns}
        assert means == pytest.approx(dict(zip("abc", X.mean(0), strict=True)), rel=0.1)
    with pytest.raises(ValueError, match="preprocessing is for a table, and X holds images"):
        lm.task_from_arrays(np.zeros((6, 4, 4)), [0, 1] * 3, preprocessing=lm.kinds.Columns(scale="quantiles"))


def test_a_line_of_json_may_leave_columns_out():
    rows = [dict(zip("abc", row, strict=True), label=label) for row, label in zip(X.tolist(), Y, strict=True)]
    for place, name in ((0, "b"), (0, "label"), (7, "a")):
        short = [
            {key: value for key, value in row.items() if (at, key) != (place, name)} for at, row in enumerate(rows)
        ]
        Path("t.jsonl").write_text("\n".join(map(json.dumps, short)))
        if name == "label":
            with pytest.raises(ValueError, match="The label at line 1"):
                lm.TableTask("t.jsonl")
            continue
        table = lm.TableTask("t.jsonl")
        assert sorted(table.columns) == ["a", "b", "c"]
        new = [row for _, row in read_new_examples(["t.jsonl"], "rows").examples]
        missing = table[0].preprocessing.encode(new)[:, -1]
        assert missing.nonzero().tolist() == [[place]]
    Path("t.jsonl").write_text("\n".join(json.dumps({"a": row[0]}) for row in X))
    with pytest.raises(ValueError, match="Row 1 lacks column 'b', which"):
        table[0].preprocessing.encode([row for _, row in read_new_examples(["t.jsonl"], "rows").examples])


def test_a_column_without_a_name_is_not_learned_from():
    lines = [f"{n},{height:.3f},{'ab'[n // 30]}" for n, height in enumerate(X[:, 0])]
    Path("t.csv").write_text("\n".join([",height,species", *lines]))
    with pytest.warns(UserWarning, match="A column of 't.csv' has no name and numbers the rows, as pandas does"):
        table = lm.TableTask("t.csv")
    assert (table.label, table.columns) == ("species", ["height"])
    assert lm.TableTask("t.csv", columns=["", "height"]).columns == ["", "height"]
    Path("t.csv").write_text("\n".join([",said,kind", *(f"{n},one two {n},{n % 2}" for n in range(40))]))
    assert lm.TextTask("t.csv")[0].classes == ("0", "1")
