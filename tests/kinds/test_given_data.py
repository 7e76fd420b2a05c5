"""What was given is found out, and made one task."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kind_data import questions, transcripts
from PIL import Image
from spoken_files import write_sounds
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas.cli.program import Parser
from lit_metanas.kinds.given_data import describe_columns, describe_given, read_given
from lit_metanas.kinds.kind import BUILT_IN, kind_named, kind_of
from lit_metanas.tasks.splits import warn_of_copies
from lit_metanas.training.recipes import check_changes

CONFIGS = Path(__file__).parents[2] / "configs" / "spaces"
SPACES = {
    "images": "default_images.yaml",
    "sounds": "default_sounds.yaml",
    "transcripts": "sequence_transcripts.yaml",
    "texts": "default_tokens.yaml",
    "rows": "default_rows.yaml",
    "tables": "default_tables.yaml",
    "series": "sequence_series.yaml",
    "pairs": "encoder_decoder_small.yaml",
    "questions": "sequence_spans.yaml",
}


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_space_of_a_kind_is_that_of_its_configuration(kind: str) -> None:
    parser = Parser()
    parser.add_subclass_arguments(lm.SearchSpace, "space")
    file = CONFIGS / SPACES[kind]
    shipped = parser.instantiate(parser.parse_object({"space": str(file)})).space
    inputs = dict.fromkeys(("sounds", "series"), torch.ones(4, 5, 10))
    inputs |= {"texts": torch.ones(4, 8, dtype=torch.int64), "rows": torch.ones(4, 3)}
    part = lm.Split(inputs.get(kind, torch.rand(4, 1, 8, 8)), torch.tensor([0, 1, 0, 1]))
    task = lm.Task("toy", 2, part, part, part, vocabulary=9)
    shape = lm.inputs.TextRowShape(3, 9, 8) if kind == "tables" else task.shape
    own = kind_named(kind).space(shape, task.goal)
    assert {c.name: c.labels for c in own.choices} == {c.name: c.labels for c in shipped.choices}
    assert all(choice.labels for choice in own.choices)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_whatever_is_searched_of_a_recipe_its_objective_can_be_trained_with(kind: str) -> None:
    steps, classes = torch.randn(2, 5, 4), torch.tensor([[1, 2], [2, 3]])
    objectives: dict[str, tuple[lm.Objective, torch.Tensor, torch.Tensor]] = {
        "transcripts": (lm.Transcription(3), steps, classes),
        "questions": (lm.Span(), steps[..., :3], classes),
    }
    objective, scores, targets = objectives.get(kind, (lm.Classification(4), steps[:, 0], classes[:, 0]))
    for name, values in kind_named(kind).searched_fields(objective).items():
        for value in values:
            recipe = lm.Recipe().replace({name: value})
            check_changes(recipe, lm.inputs.RowShape(4), objective)
            assert torch.isfinite(objective.loss(scores, targets, label_smoothing=recipe.label_smoothing))


def test_sounds_with_a_table_are_transcripts_or_labelled(tmp_path: Path) -> None:
    said = transcripts(tmp_path)
    for column, kind in (("transcript", "transcripts"), ("label", "sounds")):
        rows = [f"file,{column}", *(f"{number}.wav,say {number % 2}" for number in range(20))]
        (said / "said.csv").write_text("\n".join(rows))
        task = read_given(said)
        assert kind_of(task).name == kind
        assert isinstance(task.goal, lm.Transcription if kind == "transcripts" else lm.Classification)


def test_tables_hold_labels_where_these_repeat_and_pairs_where_not(texts: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("\n".join(["source\ttarget", *(f"{n}\t{n + 1}" for n in range(30))]))
    labels = tmp_path / "labels.tsv"
    labels.write_text("\n".join(["text\ttarget", *(f"text {n}\t{n % 2}" for n in range(30))]))
    found = [kind_of(read_given(path)).name for path in (texts, pairs, labels, questions(tmp_path))]
    assert found == ["texts", "pairs", "texts", "questions"]
    assert isinstance(read_given(labels, kind="pairs").goal, lm.Translation)


def test_arrays_texts_data_sets_and_tasks(arrays: tuple[np.ndarray, list[str]]) -> None:
    task = read_given(arrays)
    assert task.classes == ("bright", "dark")
    assert read_given(task) is task
    texts = [f"text {n}" for n in range(20)]
    for given in (texts, np.array(texts)):
        assert kind_of(read_given((given, np.arange(20) % 2))).name == "texts"
    assert len(read_given(data_of(20), test=data_of(6)).test) == 6


def data_of(number: int) -> TensorDataset:
    return TensorDataset(torch.rand(number, 1, 8, 8), torch.arange(number) % 2)


def test_a_given_test_part_stays_as_it_is(images: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    images.rename(tmp_path / "parts" / "train")
    for label, name in enumerate(("bright", "dark")):
        (tmp_path / "parts" / "test" / name).mkdir(parents=True)
        for number in range(3):
            grey = 10 * (3 * label + number)
            Image.new("RGB", (8, 8), (grey, grey, grey)).save(tmp_path / "parts" / "test" / name / f"{number}.png")
    task = read_given(tmp_path / "parts")
    assert (len(task.train), len(task.val or ()), len(task.test)) == (16, 4, 6)
    assert task.test.inputs[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    again = read_given(tmp_path / "parts" / "train", test=tmp_path / "parts" / "test")
    assert torch.equal(task.test.inputs, again.test.inputs)
    assert (task.id, again.id) == ("parts", "train")
    (tmp_path / "parts" / "train").rename(tmp_path / "parts" / "Train")
    assert torch.equal(read_given(tmp_path / "parts").test.inputs, task.test.inputs)


def test_texts_of_a_test_table_stay_in_their_order(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\nplease cut this,cut\nplease fold this,fold\nnow cut it,cut")
    task = read_given(texts, test=tmp_path / "test.csv")
    assert task.test.labels.tolist() == [0, 1, 0]
    assert len(task.train) + len(task.val or ()) == 20
    for part, number in (("train", 6), ("test", 2)):
        for label in ("poem", "song"):
            (tmp_path / "written" / part / label).mkdir(parents=True)
            for place in range(number):
                (tmp_path / "written" / part / label / f"{place}.txt").write_text(f"{part} {label} {place}")
    task = read_given(tmp_path / "written")
    assert kind_of(task).name == "texts"
    assert (task.classes, len(task.train), len(task.test)) == (("poem", "song"), 10, 4)


def test_copies_are_reported_if_a_test_part_is_drawn(images: Path) -> None:
    for file in sorted(images.glob("*/*.png")):
        shutil.copy(file, file.with_name(f"copy_of_{file.name}"))
    task = read_given(images)
    known = {row.numpy().tobytes() for part in (task.train, task.val) if part is not None for row in part.inputs}
    copies = sum(row.numpy().tobytes() in known for row in task.test.inputs)
    assert copies
    told = f"has equal examples in several parts: .* {copies} of the {len(task.test)} to test are also .*remove copies"
    with pytest.warns(UserWarning, match=told):
        warn_of_copies(task, drawn=True)
    rows = [[n, 3 * n] for n in range(15)] * 2, ["small" if n % 15 < 8 else "large" for n in range(30)]
    with pytest.warns(UserWarning, match="remove copies, unless they are rightly equal"):
        warn_of_copies(read_given(rows), drawn=True)


def test_equal_examples_of_two_classes_are_told() -> None:
    X = np.random.default_rng(0).random((30, 8, 8))
    X[:4:2] = X[1:4:2]
    with pytest.warns(UserWarning, match="equal examples of different classes, 4 of 30, which no network can tell"):
        warn_of_copies(read_given((X, [0, 1] * 15)), drawn=False)


def test_a_link_that_leads_back_to_itself_is_left_out(images: Path) -> None:
    for name in ("loop.png", "loop"):
        (images / "dark" / name).symlink_to(name)
    with pytest.warns(UserWarning, match=r"1 of 21 images cannot be read and is left out: '.*dark/loop.png'\."):
        task = read_given(images)
    assert sum(map(len, (task.train, task.val or (), task.test))) == 20


def test_a_damaged_file_is_named_counted_and_left_out(images: Path, tmp_path: Path) -> None:
    (images / "dark" / "3.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1 of 20 images cannot be read and is left out: '.*dark/3.png'\."):
        task = read_given(images)
    assert sum(map(len, (task.train, task.val or (), task.test))) == 19
    with pytest.warns(UserWarning, match=r"1 of 20 images cannot be read and is left out: '.*dark/3.png'\."):
        assert lm.FolderTask(str(images))[0].way == 2
    with pytest.raises(ValueError, match=r"dark/3.png is not a readable image: replace or remove it"):
        _ = lm.FolderTask(str(images), skip_unreadable=False)[0]
    write_sounds(tmp_path / "sounds")
    (tmp_path / "sounds" / "word1" / "2.wav").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"1 of 10 sounds cannot be read and is left out: '.*word1/2.wav'\."):
        task = read_given(tmp_path / "sounds")
    assert sum(map(len, (task.train, task.val or (), task.test))) == 9


def test_a_class_without_a_readable_file_is_left_out_and_data_without_any_are_refused(images: Path) -> None:
    shutil.copytree(images / "dark", images / "grey")
    for file in (images / "dark").iterdir():
        file.write_bytes(b"no image")
    with pytest.warns(UserWarning, match="cannot be read") as told:
        assert read_given(images).classes == ("bright", "grey")
    few = "".join(rf"'{images}/dark/{number}\.png', " for number in range(4))
    assert re.fullmatch(rf"10 of 30 images cannot .*: {few}'[^']*' and 5 more\.", str(told[0].message))
    shutil.rmtree(images / "grey")
    with (
        pytest.raises(ValueError, match="All images have the label 'bright': give two or more classes"),
        pytest.warns(UserWarning, match="10 of 20 images cannot be read"),
    ):
        read_given(images)
    for file in (images / "bright").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(ValueError, match="is not a readable image"):
        read_given(images)


def test_a_stray_file_is_left_out_and_named(images: Path) -> None:
    (images / "dark" / "notes.txt").write_text("taken in June")
    (images / "about").mkdir()
    (images / "about" / "readme.txt").write_text("photographs")
    with pytest.warns(UserWarning, match="left out") as told:
        task = read_given(images)
    assert (kind_of(task).name, task.classes) == ("images", ("bright", "dark"))
    strays = f"'{images}/about/readme.txt', '{images}/dark/notes.txt'"
    assert str(told[0].message) == f"'{images}' holds images, and other files are left out: {strays}."
    assert str(told[1].message) == f"'{images}' has a sub-folder without images, left out: 'about'."
    for name in ("bright", "dark"):  # which may be what is to be learned from
        for number in range(3):
            (images / name / f"{number}.txt").write_text("a photograph")
    with pytest.raises(ValueError, match=r"20 images and 8 texts: say by 'kind' which are meant, such as kind="):
        read_given(images)


def test_a_class_that_is_left_out_is_not_tested() -> None:
    draw, y = np.random.default_rng(0), ["bright"] * 5 + ["dark"] * 5 + ["rare"]
    told = [f"{label} text {n}" for n, label in enumerate(y)]
    for learned, own in (
        (draw.random((11, 8, 8)), draw.random((3, 8, 8))),
        (told, ["rare", "some dark one", "some bright one"]),
    ):
        with pytest.warns(UserWarning, match=r"has 1 class of fewer than 2 examples, left out: 'rare' \(1\)\."):
            task = read_given((learned, y), test=(own, ["rare", "dark", "bright"]))
        assert (task.classes, task.test.labels.tolist()) == (("bright", "dark"), [1, 0])


def test_bad_data_get_one_sentence(images: Path, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "names.csv").write_text("a,b,c\none,x,u\ntwo,y,v\n")
    for data, sentence in (
        (tmp_path / "absent", "There is no file or folder"),
        (tmp_path / "empty", r"has no sub-folders with images \(.*\.jpg .*\), sounds \(.*\), texts \(\.txt\)"),
        (tmp_path / "names.csv", r"that of the texts 'text' .* 'label' \(of pairs of texts 'source' and 'target'\)"),
        (images / "dark" / "1.png", "is no table"),
        (np.zeros((6, 8, 8)), "'data' cannot be a ndarray"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=sentence):
            read_given(data)
    (tmp_path / "stars.csv").write_text("stars,review\n" + "".join(f"{n % 2},text {n}\n" for n in range(20)))
    assert kind_of(read_given(tmp_path / "stars.csv")).name == "texts"
    with pytest.raises(ValueError, match="There is no kind 'image': did you mean 'images'"):
        read_given(images, kind="image")
    with pytest.raises(ValueError, match="these are no 'pairs': give the path of a file"):
        read_given((["one", "two"] * 9, ["eins", "zwei"] * 9), kind="pairs")
    with pytest.raises(ValueError, match=r"The text at place 1 of 'texts' is a int: give a text"):
        read_given((["a", 3], [0, 1]))


def test_a_folder_of_test_sounds_stays_as_it_is(tmp_path: Path) -> None:
    write_sounds(tmp_path / "parts" / "train", each=6)
    write_sounds(tmp_path / "parts" / "test", each=2)
    with pytest.warns(UserWarning, match="repeats 4 examples that are learned from"):
        task = read_given(tmp_path / "parts")
    assert kind_of(task).name == "sounds"
    assert (len(task.train), len(task.val or ()), len(task.test)) == (10, 2, 4)
    assert task.test.labels.tolist() == [0, 0, 1, 1]
    write_sounds(tmp_path / "other", words=3)
    with pytest.raises(ValueError, match=r"has the label 'word2', which '.*train' lacks: leave its"):
        read_given(tmp_path / "parts" / "train", test=tmp_path / "other")


def test_transcripts_take_a_test_part(tmp_path: Path) -> None:
    for part, each in (("train", 5), ("test", 2)):
        root = tmp_path / "said" / part
        names = write_sounds(root, each=each)
        flat = [name.replace("/", "_") for name in names]
        for name, new in zip(names, flat, strict=True):
            (root / name).rename(root / new)
        for word in ("word0", "word1"):
            (root / word).rmdir()
        lines = [f"{name},say {name[:5]} {part}" for name in flat]
        (root / "table.csv").write_text("\n".join(["file,transcript", *lines]))
    with pytest.warns(UserWarning, match="test' repeats 4 examples that are learned from"):
        task = read_given(tmp_path / "said")
    assert kind_of(task).name == "transcripts"
    assert task.classes == ("say", "train", "word0", "word1")
    assert (len(task.train), len(task.val or ()), len(task.test)) == (8, 2, 4)
    said = task.goal.show(task.goal.answers(task.test.labels), task.test.inputs, task)
    assert said == ["say word0 \ufffd", "say word0 \ufffd", "say word1 \ufffd", "say word1 \ufffd"]
    with pytest.raises(ValueError, match="has not one table"):
        read_given(tmp_path / "said" / "train", test=tmp_path)


def test_rows_of_a_test_table_go_by_the_names_of_their_columns(tmp_path: Path) -> None:
    lines = [f"{n},{n % 3},{'small' if n < 5 else 'large'}" for n in range(10)]
    (tmp_path / "train.csv").write_text("\n".join(["height,rest,size", *lines]))
    (tmp_path / "test.csv").write_text("size,note,rest,height\nlarge,x,1,9.5\nsmall,y,2,0.5")
    task = read_given(tmp_path / "train.csv", test=tmp_path / "test.csv")
    assert kind_of(task).name == "rows"
    assert (len(task.train), len(task.val or ()), len(task.test)) == (8, 2, 2)
    assert task.test.labels.tolist() == [0, 1]
    assert task.preprocessing is not None
    torch.testing.assert_close(task.test.inputs, task.preprocessing.encode([[9.5, 1.0], [0.5, 2.0]]))
    for rows, told in (
        ("height,size\n1,small", "test.csv' has no column 'rest'"),
        ("height,rest,size\n1,2,huge", "has the label 'huge', which '.*train.csv' lacks: leave its rows out"),
        ("height,rest,size\nx,2,small", "holds 'x' at line 2, which is no"),
    ):
        (tmp_path / "test.csv").write_text(rows)
        with pytest.raises(ValueError, match=told):
            read_given(tmp_path / "train.csv", test=tmp_path / "test.csv")
    (tmp_path / "test.csv").write_text("height,rest,size\n3,0,small")
    with pytest.warns(UserWarning, match="test.csv' repeats 1 example that is learned from"):
        read_given(tmp_path / "train.csv", test=tmp_path / "test.csv")


def test_a_column_of_groups_is_neither_text_nor_label_nor_number(tmp_path: Path) -> None:
    table = tmp_path / "given.csv"
    heads = {"texts": "text,label,group", "rows": "height,label,group"}
    for kind, head in heads.items():
        first = "{n}" if kind == "rows" else "a text {n}"
        lines = [f"{first},label {{l}},{{g}}".format(n=n, l=n % 2, g=n // 4) for n in range(40)]
        table.write_text("\n".join([head, *lines]))
        task = read_given(table, group="group")
        assert kind_of(task).name == kind
        assert [len(part) for part in (task.train, task.val or (), task.test)] == [24, 8, 8]
        if kind == "rows":
            assert task.preprocessing.names == ("height",)
        with pytest.raises(ValueError, match="has no column 'groups': did you mean 'group'"):
            read_given(table, group="groups")


def test_groups_of_class_folders(images: Path, tmp_path: Path) -> None:
    for file in sorted(images.glob("*/*.png")):
        folder = file.parent / f"day {int(file.stem) // 2}"
        folder.mkdir(exist_ok=True)
        file.rename(folder / file.name)
    task = read_given(images, group="folder")
    told = describe_given(task, kind_named("images"), grouped=True)
    assert told.endswith("12 to learn from, 4 to choose by, 4 to test, in whole groups.")
    assert all(len(part.labels.bincount()) == 2 for part in (task.train, task.val or task.test, task.test))
    with pytest.raises(ValueError, match="if each has sub-folders of groups, say group='folder'"):
        read_given(images)
    write_sounds(tmp_path / "sounds", each=6)
    for file in (tmp_path / "sounds").glob("*/*.wav"):
        file.rename(file.with_name(f"p{int(file.stem) // 2}_{file.name}"))
    assert [len(part.labels) for part in (read_given(tmp_path / "sounds", group="(p.)_").train,)] == [4]


def test_groups_that_do_not_suit_what_was_given(images: Path, tmp_path: Path) -> None:
    given: list[tuple[Any, Any, str]] = [
        (read_given(images), "folder", "A task is divided already"),
        (images, [1, 2], "'group' must be the name of a column, 'folder' or a regular expression"),
        (questions(tmp_path), "title", "Questions are divided by their passages"),
    ]
    for data, group, sentence in given:
        with pytest.raises(ValueError, match=sentence):
            read_given(data, group=group)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b,c\n" + "1,red,x\n2,blue,y\n" * 5, "columns a, b, c: name that of the labels, or of the numbers to"),
        ("a,d,c\n" + "".join(f"{n},how are you {n},x\n" for n in range(9)), "the columns a, d, c: name that of the"),
        ("a,b,label\n" + "1,2,0\n2,3,1\n" * 5 + "4,5,\n", r"no label at line 12 .*, or leave this one out\.$"),
        ("1.5,2,red\n" + "2,3,red\n4,5,blue\n" * 9, "must name the columns, but 'red' in it is a label of other lines"),
        ("0.1,0.2,1\n" + "1,2,0\n3,4,1\n" * 9, "must name the columns, but it holds numbers alone: put a line of"),
        ("how far,way\n" + "how near,way\nso,why\nmy,way\n" * 5, "must name the columns, but 'way' in it is a"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_given(str(tmp_path / "mine.csv"))


@pytest.mark.parametrize("kind", ["images", "rows", "texts"])
def test_numbers_are_predicted_and_divided_by_quantiles(kind: str) -> None:
    draw = np.random.default_rng(0)
    y = draw.exponential(100.0, 60).round(2)
    X = {"images": draw.random((60, 8, 8)), "rows": draw.random((60, 3)), "texts": [f"t {n}" for n in range(60)]}[kind]
    for group in (None, [str(n % 15) for n in range(60)]):
        task = read_given((X, y), group=group)
        parts = [task.train, task.val, task.test]
        assert sorted(value for part in parts for (value,) in part.labels.tolist()) == pytest.approx(sorted(y))
        assert task.goal == lm.Regression.of(task.train.labels)
        assert (task.way, task.classes, [len(part) for part in parts]) == (1, ("target",), [36, 12, 12])
        thirds = torch.tensor(np.quantile(y, [1 / 3, 2 / 3]))
        counts = torch.bucketize(task.test.labels[:, 0].double(), thirds).bincount(minlength=3)
        assert group is not None or counts.tolist() == [4, 4, 4]
    tested = read_given((X[5:], y[5:]), test=(X[:5], y[:5]))
    assert tested.test.labels[:, 0].tolist() == pytest.approx(y[:5])
    assert read_given((X, (y / 100).round()), objective="regression").goal.kind == "regression"
    with pytest.raises(ValueError, match="has numbers and no classes: leave 'min_per_class' out"):
        read_given((X, y), min_per_class=2)
    names = np.array(["3.10", "3.11", "inf"])[np.arange(4) // 2]
    with pytest.raises(ValueError, match=r"has 0 classes of 3 examples or more, .*: add some of '3\.1\d' \(2\)"):
        read_given((X[:4], names))


def test_numbers_that_single_precision_rounds_too_much_are_reported() -> None:
    X, y = np.random.default_rng(0).random((40, 3)), 1.7e9 + 100 * np.arange(40.0)
    with pytest.warns(UserWarning, match="differ by .* and are rounded by up to .*: subtract a constant"):
        read_given((X, y))


def test_a_table_of_texts_and_numbers_predicts_the_numbers(tmp_path: Path) -> None:
    rows = [f"house {number},{number + 0.5}" for number in range(20)]
    for text, number in (("text", "price"), ("text", "label"), ("text", "target"), ("words", "price")):
        (tmp_path / "houses.csv").write_text("\n".join([f"{text},{number}", *rows]))
        task = read_given(tmp_path / "houses.csv")
        assert (kind_of(task).name, task.goal.kind) == ("texts", "regression")
    (tmp_path / "houses.csv").write_text("\n".join(["source,target", *rows]))
    assert kind_of(read_given(tmp_path / "houses.csv")).name == "pairs"


def test_a_table_has_its_column_of_labels_by_name(tmp_path: Path) -> None:
    lines = [f"{n},{n % 7},word {n},{n + 0.5}" for n in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,text,price", *lines]))
    texts = read_given(tmp_path / "t.csv", label="b", min_per_class=1)
    assert (kind_of(texts).name, texts.way) == ("tables", 7)
    (tmp_path / "t.csv").write_text("\n".join(["a,b,price", *(f"{n},{n % 7},{n + 0.5}" for n in range(30))]))
    for label, goal in (("price", "regression"), ("b", "classification")):
        task = read_given(tmp_path / "t.csv", label=label)
        assert (kind_of(task).name, task.goal.kind) == ("rows", goal)
        assert describe_columns(str(tmp_path / "t.csv"), kind_of(task), None, label).endswith(f"column '{label}'.")


@pytest.mark.parametrize(
    ("labels", "wanted", "sentence"),
    [
        (["3.5", *map(str, range(30)), ""], None, "There is no label at line 33"),
        (["3.5", *map(str, range(30)), "NA"], None, "The target at line 33 of .* is missing: fill it in, or leave"),
        (["3.5"] * 20 + ["2", "x"], "regression", "The target at line 23 of .* is no number: 'x' is not finite, or"),
        ([f"{n} kg" for n in range(30)], None, "'0 kg' has a unit or separators: give the numbers alone"),
        ([f"{n},5" for n in range(30)], None, "'0,5' has a unit or separators: give the numbers alone, as 1234.5"),
        (["7.5"] * 30, "regression", "All targets to learn from are 7.5: there is nothing to predict"),
    ],
)
def test_malformed_numbers_get_one_sentence(
    labels: list[str], wanted: str | None, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["a,label", *(f'{n},"{label}"' for n, label in enumerate(labels))]))
    with pytest.raises(ValueError, match=sentence):
        read_given(tmp_path / "t.csv", kind="rows", objective=wanted)
