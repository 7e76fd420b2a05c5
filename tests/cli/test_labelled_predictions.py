"""`predict` on folders, tables and standard input: what it cannot read it names, and labels say how good it is."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from untrained import export_untrained

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.texts.text_tables import labels_in

pytestmark = pytest.mark.usefixtures("here")

CLASSES = ("cat", "dog")


def rows_network(**more: object) -> lm.training.Exported:
    made = lm.kinds.Columns(("height", "colour")).fitted([[str(n), "red" if n % 2 else "blue"] for n in range(20)])
    space, given = lm.MLPSpace(depths=(1,), widths=(8,)), {"classes": CLASSES, **more}
    return export_untrained(space, made.shape, preprocessing=made, **given)


def texts_network() -> lm.training.Exported:
    words = lm.kinds.Words(least=1, steps=4).fitted(["a cat", "a dog"])
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,))
    return export_untrained(space, words.shape, CLASSES, preprocessing=words)


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def written() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path("predictions.csv").read_text())))


def test_rows_of_a_folder_but_those_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    network = rows_network()
    Path("new").mkdir()
    Path("new/a.csv").write_text("height,colour,label\n3,red,cat\n3 kg,red,dog\n5,blue,dog\n4,red,bird\n")
    Path("new/b.tsv").write_text("height\tcolour\n4\tblue\n")
    Path("new/c.csv").write_bytes(b"height,colour\n\x81,red\n")
    Path("new/notes.md").write_text("no table")
    with pytest.warns(UserWarning, match="left out|cannot be read") as warned:
        assert main(["predict", "out", "new"]) == 1
    first, second = (str(one.message) for one in warned)
    assert first.startswith("1 of 3 files cannot be read, and are left out. 'new/c.csv' is not UTF-8 in line 2")
    assert second.startswith("1 of 5 rows cannot be read, and are left out.")
    assert "3 kg" in second
    assert [row["row"] for row in written()] == [
        *(f"line {number} of 'new/a.csv'" for number in (2, 4, 5)), "line 2 of 'new/b.tsv'"
    ]  # fmt: skip
    shares = network.predict([{"height": "3", "colour": "red"}, {"height": "5", "colour": "blue"}])
    right = int((shares.argmax(1) == torch.tensor([0, 1])).sum())
    said = capsys.readouterr().out
    assert f"On the 2 examples with a label: accuracy {50 * right}.0 " in said
    assert "The network does not know bird." in said
    Path("good.csv").write_text("height,colour\n3,red\n")
    with pytest.warns(UserWarning, match="^1 of 2 files cannot be read, and are left out. There is no file"):
        assert main(["predict", "out", "good.csv", "absent.csv"]) == 1
    assert main(["predict", "out", "absent.csv", "absent.tsv"]) == 2
    assert "Nor can 1 other files be read." in capsys.readouterr().err


def test_standard_input_is_a_table_lines_or_names_of_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows_network()
    piped(monkeypatch, "height,colour\n3,red\n5,blue\n")
    assert main(["predict", "out", "-"]) == 0
    assert [row["row"] for row in written()] == ["line 2", "line 3"]
    assert "with a label" not in capsys.readouterr().out
    piped(monkeypatch, "height,colour,animal\n3,red,cat\n5,blue,dog\n")
    assert main(["predict", "out", "-"]) == 0
    assert "On the 2 examples with a label" in capsys.readouterr().out
    texts_network()
    piped(monkeypatch, "a cat\nthe dog\n")
    assert main(["predict", "out", "-", "--csv"]) == 0
    assert [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()] == ["text", "a cat", "the dog"]
    export_untrained(lm.LayeredSpace(depths=(1,), widths=(4,)), (1, 8, 8), CLASSES)
    Image.new("L", (9, 9)).save("one.png")
    Path("two.png").write_bytes(b"none")
    piped(monkeypatch, "one.png\ntwo.png\n")
    with pytest.warns(UserWarning, match=r"1 of 2 images cannot be read, and are left out\. two\.png is not"):
        assert main(["predict", "out", "-"]) == 1
    assert written()[0]["file"] == "one.png"


def test_class_folders_and_columns_of_labels_say_how_good_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    network = export_untrained(lm.LayeredSpace(depths=(1,), widths=(4,)), (1, 8, 8), CLASSES)
    for number in range(6):
        Path("photos", CLASSES[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9), 40 * number).save(Path("photos", CLASSES[number % 2], f"{number}.png"))
    files = sorted(Path("photos").rglob("*.png"))
    said = network.show(files)
    right = sum(name == file.parent.name for name, file in zip(said, files, strict=True))
    assert main(["predict", "out", "photos"]) == 0
    assert f"On the 6 examples with a label: accuracy {100 * right / 6:.1f} " in capsys.readouterr().out
    assert main(["predict", "out", "photos/cat"]) == 0  # no class folder lies in it
    assert "with a label" not in capsys.readouterr().out
    network = texts_network()
    Path("new.csv").write_text("text,animal\na cat,cat\n,dog\nthe dog,dog\n")
    right = sum(one == other for one, other in zip(network.show(["a cat", "the dog"]), CLASSES, strict=True))
    with pytest.warns(UserWarning, match="1 empty text"):
        assert main(["predict", "out", "new.csv"]) == 0
    assert f"On the 2 examples with a label: accuracy {50 * right}.0 " in capsys.readouterr().out
    for name, text in {"cat/1.txt": "a cat\nsits", "dog/2.txt": "the dog"}.items():
        Path("texts", name).parent.mkdir(parents=True, exist_ok=True)
        Path("texts", name).write_text(text)
    assert main(["predict", "out", "texts"]) == 0
    assert [row["text"] for row in written()] == ["a cat sits", "the dog"]
    assert "On the 2 examples with a label" in capsys.readouterr().out


def test_a_class_that_is_rare_is_predicted_with_a_small_probability(capsys: pytest.CaptureFixture[str]) -> None:
    rows_network(objective=lm.Classification(2, "average_precision", shift=(3.0, -3.0)))
    rows = [f"{n / 3},{('red', 'blue')[n % 3 > 0]},{CLASSES[n % 2]}" for n in range(12)]
    Path("new.csv").write_text("\n".join(["height,colour,label", *rows]))
    assert main(["predict", "out", "new.csv"]) == 0
    assert {row["class"] for row in written()} == {"dog"}  # of the higher score
    shares = [float(row["p(dog)"]) for row in written()]
    assert max(shares) < 0.1
    told = capsys.readouterr().out
    assert "A class that is rare is predicted even if another one is more probable." in told
    truth = [n % 2 for n in range(12)]
    average_precision = 100 * average_precision_score(truth, shares)
    assert f"On the 12 examples with a label: average precision {average_precision:.1f} " in told
    assert "accuracy 50.0 %" in told


def test_numbers_are_compared_with_their_column(capsys: pytest.CaptureFixture[str]) -> None:
    network = rows_network(objective=lm.Regression(means=(10.0,), deviations=(2.0,)), classes=("price",))
    Path("new.csv").write_text("height,colour,price\n3,red,9\n5,blue,12\n7,red,\n")
    said = network.predict([{"height": "3", "colour": "red"}, {"height": "5", "colour": "blue"}])[:, 0].double()
    assert main(["predict", "out", "new.csv"]) == 0
    rmse = float(((said - torch.tensor([9.0, 12.0])) ** 2).mean().sqrt())
    printed = capsys.readouterr().out
    assert "On the 2 examples with a label: R2 " in printed
    assert f"RMSE {rmse:.4g}, " in printed


def test_the_column_of_labels_is_the_one_that_holds_classes() -> None:
    rows = [("line 2", {"a": "0", "b": "x", "kind": "cat"}), ("line 3", {"a": "1", "b": "y", "kind": "dog"})]
    assert labels_in(rows, CLASSES, numbers=False) == ["cat", "dog"]
    assert labels_in(rows, ("0", "1"), numbers=False) == ["0", "1"]
    twice = [(where, {**row, "other": row["a"]}) for where, row in rows]
    assert labels_in(twice, ("0", "1"), numbers=False) == []  # which of the two is unknown
    named = [(where, {**row, "label": row["a"]}) for where, row in rows]
    assert labels_in(named, ("0", "1"), numbers=False) == ["0", "1"]
    assert labels_in(rows, ("price",), numbers=True) == []
    assert labels_in(rows, ("a",), numbers=True) == ["0", "1"]
