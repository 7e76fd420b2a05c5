"""Numbers as targets: from data to an exported network that predicts them, by the shell and in Python."""

import csv
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from exported_script import answers
from PIL import Image
from sklearn.metrics import r2_score

import lit_metanas as lm
from lit_metanas.automl import calls
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.records import read_example_rows
from lit_metanas.records.result_files import write_example_rows


@pytest.fixture
def houses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a table of houses, whose price a line gives with some noise."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(360, 3))
    prices = 250_000 + 40_000 * rows[:, 0] - 25_000 * rows[:, 1] + 8_000 * draw.normal(size=360)
    lines = [f"{a:.4f},{b:.4f},{c:.4f},{price:.2f}" for (a, b, c), price in zip(rows, prices, strict=True)]
    for name, own in (("houses", lines[:300]), ("new", lines[300:])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["area,age,floor,price", *own]))
    return tmp_path


def test_a_table_of_prices_becomes_a_network_that_predicts_prices(
    houses: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["auto", "houses.csv", "--label", "price", "--flops", "[1e8,6e7]", "--workers", "1"])
    told = capsys.readouterr()
    assert "auto: targets are numbers: regression; give --objective classification for classes." in told.err
    assert "test R2: 9" in told.out
    assert "pipeline_tag: tabular-regression" in Path("model/README.md").read_text()
    assert "right (within the 90 % interval or" in Path("model/report/report.md").read_text()
    tested = read_example_rows("model/predictions.csv")
    (deviation,) = json.loads(Path("model/model.json").read_text())["objective"]["deviations"]
    for row in tested:
        (_, lower), (_, upper) = row.ends
        assert (lower + upper) / 2 == pytest.approx(float(row.prediction), rel=1e-4)
        error = (float(row.prediction) - float(row.truth)) / deviation
        assert row.loss == pytest.approx(error**2, rel=1e-2, abs=1e-4)
    write_example_rows("again.csv", tested)
    assert Path("again.csv").read_text() == Path("model/predictions.csv").read_text()
    main(["predict", "model", "new.csv"])
    assert "line 2: prediction 1" in capsys.readouterr().out
    with Path("predictions.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    with Path("new.csv").open() as opened:
        prices = [float(row["price"]) for row in csv.DictReader(opened)]
    assert list(rows[0]) == ["row", "prediction", "lower", "upper"]
    assert r2_score(prices, [float(row["prediction"]) for row in rows]) > 0.9
    inside = [float(row["lower"]) <= price <= float(row["upper"]) for row, price in zip(rows, prices, strict=True)]
    assert sum(inside) >= 48  # of 60
    for line, row in zip(answers("model/predict.py", "new.csv"), rows, strict=True):
        assert line == pytest.approx({name: float(row[name]) for name in line}, rel=1e-4)
    main(["predict", "model", "new.csv"])  # replaces its own table

    # The same call reads the finished search, with its intervals.
    monkeypatch.setattr(calls, "_found", None)
    again = lm.auto("houses.csv", flops=(1e8, 6e7), label="price", output="model", workers=1, progress=False)
    assert again.objective == lm.Regression(
        again.objective.means, again.objective.deviations, lm.load("model").objective.reaches
    )
    exported = lm.load("model")
    numbers = exported.predict([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])[:, 0]
    assert again.predict([[0.0, 0.0, 0.0]])[0]["prediction"] == pytest.approx(float(numbers[0]), rel=1e-5)
    assert float(numbers[1] - numbers[0]) == pytest.approx(40_000, rel=0.3)


def test_several_numbers_are_predicted_at_once(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(100, 3))
    y = np.stack([X[:, 0] + 5, 1000 * X[:, 1]], axis=1)
    task = lm.task_from_arrays(X, y, classes=["near", "far"])
    result = lm.search(
        task, lm.MLPSpace(depths=(1,)), method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=60), validate=True
    )
    assert result.test_score > 0.9
    assert result.predict(X[:1])[0].keys() == {
        f"{end}({name})" for end in ("prediction", "lower", "upper") for name in ("near", "far")
    }
    result.export(tmp_path / "several")
    assert lm.load(tmp_path / "several").show(X[:1])[0].startswith("near ")


@pytest.mark.parametrize("kind", ["images", "sounds"])
@pytest.mark.parametrize("beside", [True, False])
def test_files_that_a_table_names_have_numbers(
    kind: str, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    draw, lines = np.random.default_rng(0), ["file,price"]
    for number in range(60):
        value = draw.uniform(0.2, 0.9)
        name = f"{number}.{'png' if kind == 'images' else 'wav'}"
        if kind == "images":
            Image.fromarray((255 * value * np.ones((12, 12))).astype(np.uint8)).save(f"data/{name}")
        else:
            tone = np.sin(np.arange(1600) * value) * 20_000
            with wave.open(f"data/{name}", "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(tone.astype(np.int16).tobytes())
        lines.append(f"{name},{100 * value:.3f}")
    Path("data/prices.csv").write_text("\n".join(lines))
    task = read_given("data" if beside else "data/prices.csv")
    assert (kind_of(task).name, task.goal.kind, task.classes) == (kind, "regression", ("price",))
    assert [len(part) for part in (task.train, task.val, task.test)] == [36, 12, 12]
    space = {
        "images": lm.LayeredSpace(depths=(1,), widths=(8,), dropouts=(0,)),
        "sounds": lm.SequenceSpace(
            operations=("conv_3",), depths=(1,), widths=(16,), dropouts=(0.0,), readouts=("mean",)
        ),
    }[kind]
    result = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=40), progress=False)
    assert result.test_score > 0.5
    result.export("model")
    main(["predict", "model", "data/0.png" if kind == "images" else "data/0.wav"])
    assert Path("predictions.csv").read_text().startswith("file,prediction\n")
