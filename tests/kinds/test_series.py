"""Series of numbers: from files and arrays to inputs, networks and the script of an export."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from exported_script import answers

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.kinds import ScaledSeries, SeriesTask, task_from_series
from lit_metanas.kinds.given_data import kind_of_path, other_ways, read_given
from lit_metanas.kinds.kind import kind_named, kind_of
from lit_metanas.training.export.standalone_series import scaled_series

Series = list[list[float]]


def waves(number: int = 24, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Slow and fast waves of two channels, of different lengths."""
    generator, series, labels = np.random.default_rng(seed), [], []
    for each in range(number):
        steps = 30 + each % 7
        label = ("slow", "fast")[each % 2]
        angle = np.arange(steps) * (0.3 if label == "slow" else 1.1) + generator.uniform(0, 6)
        series.append(np.stack([5 + np.sin(angle), 100 * np.cos(angle)]) + 0.01 * generator.standard_normal((2, steps)))
        labels.append(label)
    return series, labels


def write_csv(file: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def as_folder(root: Path) -> Path:
    for number, (series, label) in enumerate(zip(*waves(), strict=True)):
        rows = [(step, *map(repr, values)) for step, values in enumerate(series.T.tolist())]
        write_csv(root / label / f"{number}.csv", ["time", "x", "y"], rows)
    return root


def as_table(root: Path) -> Path:
    rows = []
    for number, (series, label) in enumerate(zip(*waves(), strict=True)):
        rows += [(f"s{number}", step, label, *map(repr, values)) for step, values in enumerate(series.T.tolist())]
    write_csv(root / "all.csv", ["id", "time", "label", "x", "y"], rows)
    return root / "all.csv"


def as_archive(root: Path) -> Path:
    root.mkdir(parents=True)
    for part, seed in (("TRAIN", 0), ("TEST", 1)):
        lines = [
            ":".join([*(",".join(map(repr, channel)) for channel in series.tolist()), label])
            for series, label in zip(*waves(seed=seed), strict=True)
        ]
        head = ["# waves", "@problemName Waves", "@timeStamps false", "@classLabel true slow fast", "@data"]
        (root / f"Waves_{part}.ts").write_text("\n".join([*head, *lines, "", "# the end"]))
    return root


def test_all_files_hold_the_same_series(tmp_path: Path) -> None:
    paths = [as_folder(tmp_path / "folder"), as_table(tmp_path / "table"), as_archive(tmp_path / "archive")]
    arrays = task_from_series(*waves())
    with pytest.raises(ValueError, match=r"all.csv' may hold rows and series: say by 'kind' which are meant\.$"):
        kind_of_path(paths[1], None)
    assert [kind_of_path(path, None).name for path in paths[::2]] == ["series", "series"]
    for path in paths:
        task = read_given(path, kind="series")
        assert kind_of(task).name == "series"
        assert (task.classes, task.shape.features) == (("fast", "slow"), 3)
        assert isinstance(task.preprocessing, ScaledSeries)
        assert {name.rpartition(".")[2].strip("'") for name in task.test_names} <= {"csv", "ts"}, task.test_names
        every = {tuple(one.flatten().tolist()) for part in (task.train, task.val) for one in part.inputs}
        assert len(every) == len(task.train) + len(task.val)
    archive = read_given(paths[2])
    assert (len(archive.train), len(archive.val), len(archive.test)) == (20, 4, 24)
    parts = read_given(paths[2] / "Waves_TRAIN.ts", test=paths[2] / "Waves_TEST.ts")
    assert torch.equal(parts.test.labels, archive.test.labels)
    assert read_given(waves(), kind="series").shape == arrays.shape
    assert [len(part) for part in (arrays.train, arrays.val, arrays.test)] == [16, 4, 4]


def test_a_named_column_of_labels_is_that_of_a_long_table(tmp_path: Path) -> None:
    table = as_table(tmp_path)
    table.write_text(table.read_text().replace("label", "state", 1))
    task = read_given(table, kind="series", label="state")
    assert (task.classes, task.shape.features) == (("fast", "slow"), 3)


def slow_input(series: Series, made: ScaledSeries) -> Series:
    """What a series becomes, number by number."""
    steps = max(at + 1 for row in series for at, value in enumerate(row) if not math.isnan(value))
    rows = []
    for row, mean, deviation in zip(series, made.means, made.deviations, strict=True):
        values = []
        for at in range(steps):
            before = [n for n in range(at + 1) if not math.isnan(row[n])]
            behind = [n for n in range(at, steps) if not math.isnan(row[n])]
            if not before and not behind:
                values.append(mean)
            elif not before or not behind:
                values.append(row[(before[-1:] or behind[:1])[0]])
            else:
                first, last = before[-1], behind[0]
                share = (at - first) / (last - first) if last > first else 0.0
                values.append((1 - share) * row[first] + share * row[last])
        scaled = [(value - mean) / deviation for value in values]
        parts = [scaled[at : at + made.every] for at in range(0, steps, made.every)]
        rows.append([sum(part) / len(part) for part in parts][: made.steps])
    rows.append([1.0] * len(rows[0]))
    return [row + [0.0] * (made.steps - len(row)) for row in rows]


@pytest.mark.parametrize("every", [1, 3])
def test_inputs_and_those_of_the_script_are_those_of_plain_loops(every: int, tmp_path: Path) -> None:
    nan = math.nan
    known = [[[1.0, nan, 3.0, 5.0, nan], [nan, 2.0, nan, 8.0, nan]], [[nan] * 4, [7.0, 7.5, nan, nan]]]
    made = ScaledSeries(("x", "y"), every=every).fitted(known)
    first = [value for row in (known[0][0], known[1][0]) for value in row if not math.isnan(value)]
    assert made.means[0] == pytest.approx(sum(first) / len(first))
    assert made.deviations[0] == pytest.approx(np.std(first))
    assert made.steps == -(-4 // every)
    assert made.fitted([]) is made
    for series in (*known, [[1.0] * 9, [nan, *[2.0] * 7, 4.0]]):
        expected = torch.tensor(slow_input(series, made))
        given = [series, torch.tensor(series, dtype=torch.float64)]
        torch.testing.assert_close(made.encode(given), expected.expand(2, -1, -1))
        cells = [["" if math.isnan(value) else repr(value) for value in step] for step in zip(*series, strict=True)]
        write_csv(tmp_path / "one.csv", ["y", "other", "x"], [(y, "ignored", x) for x, y in cells])
        torch.testing.assert_close(torch.tensor(scaled_series(tmp_path / "one.csv", made.to_plain())), expected)
    assert ScaledSeries.from_plain(json.loads(json.dumps(made.to_plain()))) == made


def test_long_series_are_averaged_and_have_a_coarser_preprocessing() -> None:
    X = np.random.default_rng(0).random((20, 1, 1100))
    task = task_from_series(X, [0, 1] * 10)
    assert task.shape == lm.SeriesShape(2, 367)
    ways = other_ways((X, [0, 1] * 10), task, kind="series", test=None, group=None)
    assert list(ways) == ["367 steps", "184 steps"]
    coarse = ways["184 steps"]()
    assert coarse.shape == lm.SeriesShape(2, 184)
    assert torch.equal(coarse.train.labels, task.train.labels)
    assert [*other_ways(waves(), task_from_series(*waves()), kind="series", test=None, group=None)] == [
        "36 steps",
        "18 steps",
    ]
    bare, kind = replace(task, preprocessing=None), kind_named("series")
    assert (kind.preprocessings(bare, None), kind.describe(bare)) == ({}, "")


@pytest.mark.filterwarnings("ignore:.*few")
def test_series_are_learned_and_predicted_from_the_shell_and_by_the_script(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    as_folder(here / "waves")
    assert main(["auto", "waves", "--flops", "6e8", "--output", "out"]) == 0
    told = capsys.readouterr()
    assert "auto: 'waves': 24 series of 2 classes, of 2 channels and up to 36 steps: 16 to learn from" in told.err
    assert "test accuracy: 100.0" in told.out
    assert main(["predict", "out", "waves", "--output", "found.csv"]) == 0
    with Path("found.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert all(row["class"] in row["row"] for row in rows)
    files = [row["row"] for row in rows[::9]]
    exported = lm.load("out")
    found = torch.tensor([[row[name] for name in exported.classes] for row in answers("out/predict.py", *files)])
    torch.testing.assert_close(found, exported.predict(files), atol=1e-5, rtol=0)
    series, labels = waves(6, seed=3)
    assert [exported.classes[place] for place in exported.predict(series).argmax(1)] == labels


def test_new_series_are_named_by_where_they_stand(tmp_path: Path) -> None:
    kind = kind_named("series")
    (first, _), *_ = kind.new_examples([str(as_folder(tmp_path / "folder") / "slow" / "0.csv")])
    assert first.endswith("slow/0.csv")
    names = [name for name, _ in kind.new_examples([str(as_table(tmp_path / "table"))])]
    assert names[0].startswith("series 's0' of '")
    assert len(names) == 24
    archive = kind.new_examples([str(as_archive(tmp_path / "archive") / "Waves_TEST.ts")])
    assert archive[0][0].startswith("line 6 of '")
    assert archive[0][1].shape == (2, 30)
    table = dict(kind.new_examples([str(tmp_path / "table" / "all.csv")]))
    made = ScaledSeries(("y", "x")).fitted([{"x": [1.0, 2.0], "y": [3.0, 5.0]}])
    assert made.means == (4.0, 1.5)
    one = table[names[0]]
    assert torch.equal(made.encode([one]), made.encode([np.stack([one["y"], one["x"]])]))
    with pytest.raises(ValueError, match="Series 1 lacks the channel 'y', which was learned from: add it"):
        made.encode([{"x": [1.0]}])


def test_gaps_are_filled_with_one_line_and_groups_stay_together(tmp_path: Path) -> None:
    series, labels = waves()
    for one in series[:3]:
        one[0, 4] = math.nan
    with pytest.warns(UserWarning, match=r"^X: 3 of 1,5[0-9]+ values are missing, and are interpolated in time\.$"):
        task_from_series(series, labels)
    rows = [
        (f"s{number}", f"p{number // 4}", label, *values)
        for number, (one, label) in enumerate(zip(*waves(), strict=True))
        for values in one.T.tolist()
    ]
    write_csv(tmp_path / "all.csv", ["id", "person", "label", "x", "y"], rows)
    task = read_given(tmp_path / "all.csv", kind="series", group="person")
    assert {len(part) % 4 for part in (task.train, task.val, task.test)} == {0}
    with pytest.warns(UserWarning, match="all.csv' .*group"):
        SeriesTask(str(tmp_path / "all.csv"), test_path=str(tmp_path / "all.csv"), group="person")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("id,label,x\n1,a,2\n1,b,3\n", r"Series '1' of '.*' has the labels 'a' and 'b' \(at line 3\): give all its"),
        ("id,label,x\n1,a,2\n1,a,two\n", "Column 'x' of '.*' holds 'two' at line 3"),
        ("id,x\n1,2\n1,3\n", "has no column of labels: call it 'label'"),
        ("id,time,label\n1,2,a\n1,3,a\n", "has no columns of numbers"),
        ("what,label,x\n1,a,2\n1,a,3\n", "none of them says which rows are one series: call it 'id'"),
        ("@classLabel true a\n1,2:3,4:a", "has no line '@data': give a file"),
        ("@timeStamps true\n@classLabel true a b\n@data\n(0,1):a", "has time stamps, which are not read"),
        ("@data\n1,2:3,4", "has no classes"),
        ("@classLabel true a b\n@data\n1,2:3:a", "The channels at line 3 of '.*' differ in length"),
        ("@classLabel true a b\n@data\n1,two:a", "holds 'two' at line 3"),
        ("@classLabel true a b\n@data\n", "has no series"),
    ],
)
def test_what_is_wrong_with_a_long_table_or_a_file_of_the_archive_gets_one_sentence(
    lines: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / ("t.ts" if "@" in lines else "t.csv")
    file.write_text(lines)
    with pytest.raises(ValueError, match=message):
        SeriesTask(str(file))


def test_other_series_than_those_that_were_learned_from_are_refused(tmp_path: Path) -> None:
    made = ScaledSeries().fitted([[[1.0, 2.0], [3.0, 4.0]]])
    with pytest.raises(ValueError, match="A series has 1 channel, and 2 were learned from"):
        made.encode([[1.0, 2.0]])
    for series, message in (
        ([["a", "b"]], "holds something that is not a number"),
        ([[1.0, math.inf]], "has an infinite value"),
        ([[math.nan] * 3], "has no value: leave it out"),
        (np.zeros((2, 2, 2)), "give an array"),
        ([[1.0], [1.0, 2.0]], "channels of different lengths"),
    ):
        with pytest.raises(ValueError, match=f"^Series 1 {message}|^Series 1 .*{message}"):
            made.encode([series])
    as_folder(tmp_path)
    write_csv(tmp_path / "slow" / "0.csv", ["time", "x", "z"], [(0, 1, 2)])
    with pytest.raises(ValueError, match=r"0\.csv' has no column 'y': it has time, x, z"):
        SeriesTask(str(tmp_path))


def test_a_test_part_without_series_is_refused() -> None:
    series, labels = waves()
    with pytest.raises(ValueError, match=r"^Task 'series' has no test examples: give it some\.$"):
        task_from_series(series, labels, X_test=[], y_test=labels[:1])
