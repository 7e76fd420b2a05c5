"""Files, folders and objects in memory as people have them are read as they are."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch
from written_tables import Frame

import lit_metanas as lm
from lit_metanas.kinds.given_data import describe_columns, describe_given, read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.kinds.texts import table_files
from lit_metanas.kinds.texts.table_files import is_table_file, read_rows

ROWS = [{"Größe": "-1234.5", "Stadt": "Köln, alt", "label": "x"}, {"Größe": "7", "Stadt": "Bonn", "label": "y"}]
SEMICOLONS = 'Größe;Stadt;label\r\n-1.234,5;"Köln, alt";x\r\n7;Bonn;y\r\n'
COMMAS = 'Größe,Stadt,label\n-1234.5,"Köln, alt",x\n7,Bonn,y\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", COMMAS.encode()),
        ("t.csv", SEMICOLONS.encode("utf-8-sig")),
        ("t.csv", SEMICOLONS.encode("utf-16")),
        ("t.csv", b"\n" + COMMAS.replace(",", "\t").replace("\t alt", ", alt").encode()),
        ("t.CSV", COMMAS.replace(",", "|").replace("| alt", ", alt").encode()),
        ("t.csv.gz", gzip.compress(SEMICOLONS.encode(), mtime=0)),
        ("t.jsonl.gz", gzip.compress("\n".join(map(json.dumps, ROWS)).encode(), mtime=0)),
        ("t.ndjson", "\n".join(map(json.dumps, ROWS)).encode()),
        ("t.json", json.dumps(ROWS, ensure_ascii=False).encode()),
    ],
)
def test_tables_of_all_forms_have_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert is_table_file(file)
    assert [row for _, row in read_rows(file)] == ROWS


def test_columns_with_decimal_commas_have_points(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("price;size\n999;1.250\n1.250;2.500\n1.299,99;\n;3\n")
    prices = [row["price"] for _, row in read_rows(tmp_path / "t.csv")]
    assert prices == ["999", "1250", "1299.99", ""]
    assert [row["size"] for _, row in read_rows(tmp_path / "t.csv")] == ["1.250", "2.500", "", "3"]


def test_commas_within_values_stay(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1,5 kg;x, y\n1,2,3;,5\n")
    rows = [{"a": "1,5 kg", "b": "x, y"}, {"a": "1,2,3", "b": ",5"}]
    assert [row for _, row in read_rows(tmp_path / "t.csv")] == rows


def test_what_is_not_utf8_is_read_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(SEMICOLONS.encode("cp1252"))
    with pytest.warns(UserWarning, match=r"t.csv' is not UTF-8 in line 1, and is read as Windows-1252"):
        assert [row for _, row in read_rows(tmp_path / "t.csv")] == ROWS


SPOILED = bytearray(gzip.compress(bytes(range(256)) * 3, mtime=0))
SPOILED[12:60] = b"\xff" * 48


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", b"a,b\n\x81,1\n", "is not UTF-8 in line 2: save it in that encoding"),
        ("t.csv.gz", b"a,b\n1,2\n", "is damaged, or not compressed by gzip"),
        ("t.csv.gz", SPOILED, "is damaged, or not compressed by gzip"),
        ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 99, mtime=0)[:-9], "is damaged, or not compressed by gzip"),
        ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0), "has more than 1000 bytes when unpacked"),
        ("t.json", b'[{"a": 1}', "is not valid JSON .*: give a list of objects, or one on each line"),
        ("t.json", b'[{"a": 1}, 2]', "Row 2 of .* is no object of names and values"),
        ("t.zip", b"PK", "is an archive: unpack it, and give the folder"),
        ("t.xlsx", b"PK", "is a table of another program: save it as CSV, or in Python give a data frame"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, told: str
) -> None:
    monkeypatch.setattr(table_files, "LARGEST_TABLE", 1000)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=told):
        read_given(tmp_path / name)


def passengers(file: Path, number: int, *, labelled: bool = True) -> None:
    rows = [(f"{place + 1 / number:.3f}", f"{place % 2}") for place in range(number)]
    file.write_text("\n".join(",".join(row[: 1 + labelled]) for row in [("age", "survived"), *rows]))


def test_a_folder_with_a_table_to_learn_from_and_others(tmp_path: Path) -> None:
    passengers(tmp_path / "train.csv", 40)
    passengers(tmp_path / "test.csv", 10, labelled=False)
    passengers(tmp_path / "sample_submission.csv", 10, labelled=False)
    with pytest.warns(UserWarning, match="is left out: 'test.csv' has no column 'survived'"):
        task = read_given(tmp_path, label="survived")
    assert (task.id, len(task.train), len(task.test)) == (tmp_path.name, 24, 8)
    assert describe_columns(tmp_path, kind_of(task), None, "survived") == " Labels are in column 'survived'."
    passengers(tmp_path / "dev.csv", 6)
    with pytest.warns(UserWarning, match="has no column"):
        assert len(read_given(tmp_path, label="survived").test) == 6
    passengers(tmp_path / "test.csv", 10)
    with pytest.warns(UserWarning, match="examples to choose by are drawn from 'train.csv', not 'dev.csv'"):
        assert len(read_given(tmp_path, label="survived").test) == 10


def test_several_columns_of_texts_are_read_as_one(tmp_path: Path) -> None:
    lines = [f"{n},who is number {n},is it {n} or not,{n % 2}" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["id,question1,question2,same", *lines]))
    task = read_given(tmp_path / "t.csv", label="same")
    assert task.raw[2][0].startswith("who is number")
    assert task.raw[2][0].count("\n") == 1
    told = describe_columns(tmp_path / "t.csv", kind_of(task), None, "same")
    assert told.endswith("texts in 'question1,question2'; other columns are ignored: id.")
    (tmp_path / "new.csv").write_text("question1,question2\nhow are you now,are you well or not\n")
    ((_, text),) = kind_of(task).new_examples([str(tmp_path / "new.csv")])
    assert text == "how are you now\nare you well or not"


def pictures(folder: Path, number: int, *, size: int = 8) -> None:
    for name in ("bright", "dark"):
        (folder / name).mkdir(parents=True)
        for place in range(number):
            colour = (20 * place, 9 * len(folder.name), 200)
            Image.new("RGB", (size, size + place % 2), colour).save(folder / name / f"{place}.png")


def test_folders_of_parts(tmp_path: Path) -> None:
    pictures(tmp_path / "train", 10)
    assert len(read_given(tmp_path).test) == 4
    pictures(tmp_path / "Validation", 2)
    assert len(read_given(tmp_path).test) == 4
    assert {*read_given(tmp_path).test_names} == {*map(str, (tmp_path / "Validation").glob("*/*.png"))}
    pictures(tmp_path / "test", 3)
    with pytest.warns(UserWarning, match="examples to choose by are drawn from 'train', not 'Validation'"):
        assert len(read_given(tmp_path).test) == 6


def test_a_part_without_labels_is_left_out(tmp_path: Path) -> None:
    pictures(tmp_path / "train", 10)
    (tmp_path / "test").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "test" / "0.png")
    with pytest.warns(UserWarning, match="is left out: 'test' has no labels"):
        assert len(read_given(tmp_path).test) == 4


def test_files_that_a_table_names_without_their_ending(tmp_path: Path) -> None:
    pictures(tmp_path / "images", 10)
    for name in ("bright", "dark"):
        for file in (tmp_path / "images" / name).iterdir():
            file.rename(tmp_path / "images" / f"{name}{file.name}")
        (tmp_path / "images" / name).rmdir()
    names = sorted(file.stem for file in (tmp_path / "images").iterdir())
    lines = ["image_id,category", *(f"{name},{name[:-1]}" for name in names)]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    for data in (tmp_path, tmp_path / "labels.csv"):
        task = read_given(data)
        assert (kind_of(task).name, task.classes) == ("images", ("bright", "dark"))
        assert (len(task.train), len(task.val or ()), len(task.test)) == (12, 4, 4)
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "nobody,dark"]))
    with pytest.raises(ValueError, match="has 1 class folder"):
        read_given(tmp_path)


WORDS = ["one day", "two days", "three men", "four dogs", "five cats"] * 4
LETTERS = ["a", "b"] * 10


AGES = {"age": [float(n) for n in range(20)], "town": ["Oslo", "Rome"] * 10, "label": LETTERS}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"text": [f"{w} {n}" for n, w in enumerate(WORDS)], "label": LETTERS}, "texts"),
        ([{"text": f"{w} {n}", "label": own} for n, (w, own) in enumerate(zip(WORDS, LETTERS, strict=True))], "texts"),
        ([dict(zip(AGES, row, strict=True)) for row in zip(*AGES.values(), strict=True)], "rows"),
        (AGES, "rows"),
        (Frame(AGES), "rows"),
        (Bunch(data=np.random.default_rng(0).normal(size=(20, 3)), target=LETTERS, DESCR="toys"), "rows"),
        ({"image": [Image.new("RGB", (8, 9 + n % 2), (n, n, n)) for n in range(20)], "label": LETTERS}, "images"),
    ],
)
def test_columns_and_records_in_memory(data: Any, kind: str) -> None:
    task = read_given(data)
    assert (kind_of(task).name, task.classes) == (kind, ("a", "b"))
    assert describe_given(task, kind_of(task)).endswith("12 to learn from, 4 to choose by, 4 to test.")


def test_a_column_says_which_rows_belong_together() -> None:
    families = [name for name in "pqrstuvwxy" for _ in "ab"]
    task = read_given({**AGES, "family": families}, group="family")
    tested = Counter(families[int(place)] for place in task.test_names)
    assert {*tested.values()} == {2}
    assert task.shape == read_given(AGES).shape


def test_columns_of_hugging_face() -> None:
    columns = {"sentence": [f"{w} {n}" for n, w in enumerate(WORDS)], "intent": LETTERS}
    dataset = type("Dataset", (SimpleNamespace,), {"__getitem__": lambda own, name: own.of[name]})
    task = read_given(dataset(of=columns, column_names=list(columns)))
    assert (kind_of(task).name, task.classes) == ("texts", ("a", "b"))


def test_columns_without_a_label_that_is_found() -> None:
    with pytest.raises(ValueError, match="'data' has the columns age, place: name that of the labels by 'label'"):
        read_given({"age": [1.0, 2.0], "place": ["x", "y"]})
    with pytest.raises(ValueError, match="'data' has no column 'plac': did you mean 'place'"):
        read_given({"age": [1.0, 2.0], "place": ["x", "y"]}, label="plac")
    with pytest.raises(ValueError, match="the labels are the second part of the pair: leave it out"):
        read_given(([1.0, 2.0], ["x", "y"]), label="place")


@pytest.mark.parametrize("column", [np.arange(20), [None, *range(19)], ["red", "blue", "green", "red"] * 5])
def test_one_column_of_cells_is_a_table(column: Any) -> None:
    assert kind_of(read_given({"x": column, "label": LETTERS})).name == "rows"
    with pytest.raises(ValueError, match=r"Column 'x' of 'data' has \d+ values for 21 labels: give as many"):
        read_given({"x": column, "label": [*LETTERS, "a"]})


def test_a_table_names_the_files_of_the_folder_called_as_it_is(tmp_path: Path) -> None:
    for part, blue in (("train", 0), ("test", 255)):
        (tmp_path / part).mkdir()
        for number in range(12):
            Image.new("RGB", (8, 8), (9 * number, 0, blue)).save(tmp_path / part / f"{number}.png")
    lines = ["id,label", *(f"{number},{'ab'[number % 2]}" for number in range(12))]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    task = read_given(tmp_path)
    assert float(task.train.inputs[:, 2].max()) == 0


def test_names_of_files_in_memory(tmp_path: Path) -> None:
    pictures(tmp_path, 10, size=40)
    files = sorted(tmp_path.glob("*/*.png"))
    labels = [file.parent.name for file in files]
    for names in (files, [str(file) for file in files]):
        task = read_given((names, labels))
        assert (task.shape, task.classes) == (lm.ImageShape(3, 32, 32), ("bright", "dark"))
    assert read_given((files, labels), shape=16).shape == lm.ImageShape(3, 16, 16)
    notes = [tmp_path / f"{number}.txt" for number in range(20)]
    for number, note in enumerate(notes):
        note.write_text(f"{WORDS[number]} {number}")
    assert kind_of(read_given((notes, LETTERS))).name == "texts"
    sounds = [tmp_path / f"{number}.wav" for number in range(20)]
    for sound in sounds:
        sound.touch()
    with pytest.raises(ValueError, match="give the path of a table with their names and labels, or of a folder"):
        read_given((sounds, LETTERS))
