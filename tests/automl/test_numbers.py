"""Numbers as targets: from data to an exported network that predicts them, by the shell and in Python."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from exported_script import answers
from sklearn.metrics import r2_score

import lit_metanas as lm
from lit_metanas.automl import calls
from lit_metanas.cli.command_line import main
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
    monkeypatch.setattr(calls, "_searched", None)
    again = lm.auto("houses.csv", flops=(1e8, 6e7), label="price", output="model", workers=1, progress=False)
    assert again.objective == lm.Regression(
        again.objective.means, again.objective.deviations, lm.load("model").objective.reaches
    )
    exported = lm.load("model")
    numbers = exported.predict([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])[:, 0]
    assert again.predict([[0.0, 0.0, 0.0]])[0]["prediction"] == pytest.approx(float(numbers[0]), rel=1e-5)
    assert float(numbers[1] - numbers[0]) == pytest.approx(40_000, rel=0.3)
