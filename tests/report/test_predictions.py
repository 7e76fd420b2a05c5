import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.text import Text

import lit_metanas as lm
from lit_metanas.callbacks import figures
from lit_metanas.comparisons.class_table import ClassTable
from lit_metanas.comparisons.tested_part import shown_predictions
from lit_metanas.records.result_files import (
    KeptNetwork,
    kept_networks,
    read_row_file,
    write_example_rows,
    write_row_file,
)
from lit_metanas.records.rows import ShownPrediction
from lit_metanas.report import report_page
from lit_metanas.report.figures.predictions import draw_confusions, draw_predictions
from lit_metanas.report.report_page import class_section, page_text, prediction_section
from lit_metanas.report.report_verb import report

TEXTS = (
    lm.records.ShownPrediction("flight", "flight", True, example="book a flight"),
    lm.records.ShownPrediction("table", "cab", False, example="a | cab <script>![x](http://y)\n now"),
)


def test_predictions_come_back_from_their_file(tmp_path):
    pictures = (lm.records.ShownPrediction("a", "b", False, picture=("00ff10", "0102ff"), coloured=True),)
    write_row_file(tmp_path / "predictions.json", ShownPrediction, [*TEXTS, *pictures])
    assert read_row_file(tmp_path / "predictions.json", ShownPrediction) == [*TEXTS, *pictures]
    assert pictures[0].levels() == [[[0, 255, 16]], [[1, 2, 255]]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"picture": ["00", "0000"]}, "not of one length"),
        ({"picture": ["00"], "coloured": True}, "not of one length"),
        ({"picture": ["zz"]}, "not one of hexadecimal digits"),
        ({"picture": ["00" * 4999]}, "or 4096 levels in a row"),
        ({"right": "yes"}, "right"),
    ],
)
def test_a_damaged_file_is_told_in_a_sentence(tmp_path, changed, said):
    file = tmp_path / "predictions.json"
    plain = {"said": "a", "meant": "b", "right": False, "example": "", "picture": [], "coloured": False, **changed}
    file.write_text(json.dumps({"schema": 1, "predictions": [plain]}))
    with pytest.raises(ValueError, match=said) as caught:
        read_row_file(file, ShownPrediction)
    assert str(file) in str(caught.value)


def test_tiles_have_the_room_that_their_titles_need():
    name = "Old Italic/U+10301 OLD ITALIC LETTER BE"
    series = lm.records.ShownPrediction(name, name, True, picture=("00ff88",) * 2, series=True)
    (axes,) = (drawn := draw_predictions([series])).axes
    assert axes.get_title("left") == "✓ Old Italic/U+10301 OLD\nITALIC LETTER BE"
    assert axes.get_aspect() == "auto"  # a series of any length fills its tile
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps →", "features →")
    curves = [curve.get_ydata() for curve in axes.lines]
    assert [list(one) for one in curves] == [[at, at + 255 / 256, at + 136 / 256] for at in (0, 1)]
    (grey,) = draw_predictions([lm.records.ShownPrediction("a", "a", True, picture=("00ff88",) * 40, series=True)]).axes
    assert (len(grey.images), len(grey.lines)) == (1, 0)
    number = draw_predictions([lm.records.ShownPrediction("69.3", "70.1", True, picture=("00ff",) * 2)])
    assert number.axes[0].get_title("left") == "✓ 69.3\nis: 70.1"
    short = draw_predictions([lm.records.ShownPrediction("a", "a", True, picture=("00ff",) * 2)])
    assert short.axes[0].get_xlabel() == ""
    assert short.get_figheight() < drawn.get_figheight()


class Sentences(lm.kinds.TextSource):
    """Thirty sentences of each of two classes."""

    def sentences(self, subset):
        return {name: [f"{name} number {n}" for n in range(30)] for name in ("cat", "dog")}


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_a_search_leaves_predictions_and_its_report_shows_them(tmp_path, kind, capsys):
    if kind == "images":
        task = lm.task_from_arrays(torch.rand(60, 3, 8, 8), torch.arange(60) % 2)
        space = lm.LayeredSpace(widths=(4,))
    else:
        task = lm.draw_task(Sentences(), "train", way=2, train=8, val=2, test=20)
        space = lm.SequenceSpace(widths=(4,), operations=("conv_3",), depths=(1,))
    options = {"recipe": lm.Recipe(epochs=1), "directory": str(tmp_path / "search")}
    comparison = lm.comparisons.TargetSearch(space=space, methods={"random": lm.RandomArchitecture()}, **options)
    trainer = lm.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    loader = torch.utils.data.DataLoader([task], batch_size=None, collate_fn=lambda one: one)
    trainer.predict(comparison, loader)
    (network,) = kept_networks(tmp_path / "search")
    shown = read_row_file(network.folder / "predictions.json", ShownPrediction)
    weights = torch.load(network.folder / "weights.pt", weights_only=True)
    child = space.child(network.row.architecture, task.shape, task.way, None)
    child.load_state_dict(weights)
    said = child.eval()(task.test.inputs).argmax(1)
    places = torch.linspace(0, len(task.test) - 1, min(10, len(task.test))).round().long()
    names = task.classes
    assert [one.said for one in shown] == [names[label] for label in said[places]]
    assert [one.meant for one in shown] == [names[label] for label in task.test.labels[places]]
    assert [one.right for one in shown] == (said == task.test.labels)[places].tolist()
    if kind == "images":
        assert all(one.coloured and len(one.picture) == 8 and len(one.picture[0]) == 48 for one in shown)
        levels = torch.tensor(shown[3].levels())
        assert torch.allclose(levels.permute(2, 0, 1) / 255, task.test.inputs[places[3]], atol=0.5 / 255 + 1e-6)
    else:
        assert shown[0].example == task.preprocessing.show(task.test.inputs[:1])[0]
    report([str(tmp_path / "search" / "results.json")], str(tmp_path / "report"))
    assert ("predictions.png" in capsys.readouterr().out) == (kind == "images")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## Predictions" in text
    assert f"{len(shown)} test examples, spread evenly over all: {sum(one.right for one in shown)} right." in text
    assert ("predictions.png" in text) == (kind == "images") == (tmp_path / "report" / "predictions.png").exists()


def test_the_best_network_of_each_task_is_named():
    row = lm.records.ArchitectureRow("one", "auto", "S", lm.Architecture({"kernel": "3"}), 0.9)
    for rows, best in (([row, replace(row, task_id="two")], ["one", "two"]), ([replace(row, value=math.nan)], [])):
        text = page_text([], [], [KeptNetwork(one, Path("out")) for one in rows], [], "")
        assert re.findall(r"- Best on (\w+) by validation accuracy, 90\.0 %: auto, in out\.", text) == best
        assert text.count("Best") == len(best)
    many = ClassTable.of([lm.records.ExampleRow("", "0", "0")], [*map(str, range(26))])
    assert not draw_confusions(many).axes[0].texts  # numbers would be too small


def one_split(inputs):
    return lm.Split(inputs, torch.arange(len(inputs)) % 2)


@pytest.mark.parametrize("inputs", [torch.rand(4, 3, 5000), torch.rand(4, 3, 40, 1400), torch.ones(4, 1, 7)])
def test_large_and_empty_inputs_are_shown_small(inputs, tmp_path):
    task = lm.Task("large", way=2, train=one_split(inputs), val=None, test=one_split(inputs))
    shown = shown_predictions(task, [0] * 4)
    assert all(len(one.picture) <= 512 and len(one.picture[0]) <= 2 * 3 * 512 for one in shown)
    write_row_file(tmp_path / "predictions.json", ShownPrediction, shown)
    assert read_row_file(tmp_path / "predictions.json", ShownPrediction) == list(shown)
    (row,) = shown_predictions(lm.Task("row", 2, one_split(torch.ones(1, 2)), None, one_split(torch.ones(1, 2))), [0])
    assert row.example == "1 1"


def test_damaged_predictions_leave_the_rest_of_a_report(tmp_path):
    protocol, architecture = lm.records.Protocol("target", 2, 5, "running"), lm.Architecture({"kernel": "3"})
    row = lm.records.ResultRow(
        "random", "t", "", architecture, {}, 0, protocol, 0.7, 0.1, lm.Cost(), lm.Cost(), 1, 1, images=(4, 4)
    )
    lm.records.write_results(tmp_path / "results.json", [row])
    chosen = lm.records.ArchitectureRow("t", "random", "LayeredSpace", architecture, 0.7, weights="child/weights.pt")
    lm.records.write_architectures(tmp_path / "architectures.json", [chosen])
    (tmp_path / "child").mkdir()
    (tmp_path / "child" / "predictions.json").write_text('{"schema": 1, "predictions": [7]}')
    with pytest.warns(UserWarning, match=r"No predictions are shown: '.*predictions\.json' cannot be read"):
        report([str(tmp_path / "results.json")], str(tmp_path / "report"))
    assert "## Predictions" not in (tmp_path / "report" / "report.md").read_text()


def test_class_names_of_any_language_are_shown_or_numbered(tmp_path, monkeypatch):
    """matplotlib's own font has German and Arabic letters; the page has the others, in the browser's fonts."""
    monkeypatch.setattr(figures, "_FURTHER", ("no font",))  # as on a machine without others
    figures._fonts.cache_clear()
    figures._letters.cache_clear()
    drawn = []
    monkeypatch.setattr(report_page, "save", lambda one, file: drawn.append(one))
    names = ["Größe", "قطة", "बिल्ली", "猫と犬"]
    said = [lm.records.ShownPrediction("猫と犬", name, name == "猫と犬", picture=("00ff",) * 2) for name in names]
    row = lm.records.ArchitectureRow("task", "auto", "S", lm.Architecture({"kernel": "3"}), 0.9, classes=tuple(names))
    write_row_file(tmp_path / "predictions.json", ShownPrediction, said)
    write_row_file(tmp_path / "errors.json", ShownPrediction, said[:3])
    rows = [lm.records.ExampleRow(str(at), name, "猫と犬", 0.5, 0.7) for at, name in enumerate(names)]
    write_example_rows(tmp_path / "predictions.csv", rows)
    text, pictures = class_section(tmp_path, KeptNetwork(row, tmp_path))
    numbers = "no. 3 is बिल्ली, no. 4 is 猫と犬."
    assert numbers in text
    assert pictures[0].caption.endswith(numbers)
    assert numbers in prediction_section(tmp_path, KeptNetwork(row, tmp_path), 1)
    assert len(drawn) == 3
    for one in drawn:
        shown = " ".join(text.get_text() for text in one.findobj(Text))
        assert all(part in shown for part in ("Größe", "قطة", "no. 4"))
        assert all(figures.has_letters(letter) for letter in shown)
    figures._fonts.cache_clear()
    figures._letters.cache_clear()
