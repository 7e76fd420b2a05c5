"""An objective of another package: ordered classes, from Python and from the shell."""

from pathlib import Path

import grades
import numpy as np
import pytest
import torch
from grades import Ordinal

import lit_metanas as lm
from lit_metanas.cli.command_line import main


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows whose grade is the larger, the larger their sum."""
    rows = np.random.default_rng(0).random((90, 2))
    lines = [f"{a:.4f},{b:.4f},grade{int(1.5 * (a + b))}" for a, b in rows]
    (tmp_path / "grades.csv").write_text("\n".join(["one,two,grade", *lines]))
    return tmp_path / "grades.csv"


def test_the_module_is_short() -> None:
    assert len(Path(grades.__file__).read_text().splitlines()) <= 80


def test_a_prediction_that_is_off_by_one_step_is_half_right_of_three_classes() -> None:
    assert Ordinal(3).judge([0, 1], torch.tensor([1, 1])).value == 0.75


def test_an_objective_without_a_loss_is_refused() -> None:
    class Lossless(Ordinal):
        loss = lm.Objective.loss

    with pytest.raises(TypeError, match="Lossless has neither 'loss' nor 'losses': define one of them"):
        Lossless(3)


def test_auto_search_and_export(table: Path, tmp_path: Path) -> None:
    result = lm.auto(table, objective="grades.Ordinal", flops=(1e7, 1e7), output=tmp_path / "out", progress=False)
    assert result.metric == "ordinal score"
    assert result.test_score > 0.8
    assert "ordinal score" in repr(result)
    assert "ordinal score" in (tmp_path / "out" / "report" / "report.md").read_text().lower()
    exported = lm.load(tmp_path / "out")
    assert isinstance(exported.objective, Ordinal)
    rows = [{"one": "0.01", "two": "0.02"}, {"one": "0.97", "two": "0.99"}]
    assert exported.show(rows) == ["grade0", "grade2"]
    searched = lm.search(lm.TableTask(str(table))[0], flops=1e6, recipe=lm.Recipe(epochs=1), progress=False)
    assert searched.metric == "accuracy"


def test_what_is_no_objective_is_refused(table: Path) -> None:
    cases = {
        "rank": "no objective 'rank': give classification, several labels, regression, or the path of a class",
        "grades.torch": "is no objective",
        "grades.None_": "no objective 'grades.None_'",
        "regresion": "did you mean 'regression'",
    }
    for name, reason in {**cases, "lit_metanas.Span": "Span is not for examples with labels"}.items():
        with pytest.raises(ValueError, match=reason):
            lm.auto(table, objective=name, flops=1e6, progress=False)


def test_the_command_line(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--objective=grades.Ordinal", "--flops=1e7", f"--output={tmp_path / 'out'}"]
    assert main(["auto", str(table), *more]) == 0
    assert "test ordinal score:" in capsys.readouterr().out
