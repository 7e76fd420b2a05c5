"""What is wrong with an argument, with a stored preprocessing or with a file of any kind is told in one sentence."""

import gc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace as Some
from typing import Any

import numpy as np
import pytest
import torch
from kind_data import pairs
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas import kinds
from lit_metanas.inputs.batches import check_padding, check_tokens
from lit_metanas.inputs.shapes import image_shape
from lit_metanas.kinds import read_examples
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.given_pairs import check_no_files
from lit_metanas.kinds.images import image_files
from lit_metanas.kinds.kind import Kind, kind_named, kind_of
from lit_metanas.kinds.listed_files import ListedFiles
from lit_metanas.kinds.rows.cells import as_table
from lit_metanas.kinds.sounds.audio_folders import listed_sounds
from lit_metanas.kinds.texts import text_source
from lit_metanas.kinds.texts.table_files import checked_texts, read_whole_rows
from lit_metanas.kinds.texts.text_tokens import PretrainedTokens

DATA: Any = TensorDataset(torch.rand(20, 3), torch.arange(20) % 2)
ROWS: Any = np.random.default_rng(0).random((20, 3)), [0, 1] * 10
TOGETHER = "belong together: give both or neither"
NUMBERS: Any = ROWS[0], np.random.default_rng(1).random((20, 2))
UNKNOWN: Any = Some(id="told", shape=None, goal=None, preprocessing=None)


def frame(**columns: Any) -> Any:
    """A table as libraries of data frames have it."""
    return type("Frame", (dict,), {"columns": [*columns]})(columns)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda: kinds.ScaledSeries(("a", "a")), "a channel's name is no text, or stands twice"),
        (lambda: kinds.ScaledSeries(means=(1.0,)), "has 0 names, 1 mean and 0 deviations: give one a channel"),
        (lambda: kinds.ScaledSeries(means=(np.nan,), deviations=(1.0,)), "a mean or deviation is no finite number"),
        (lambda: kinds.ScaledSeries(means=(1.0,), deviations=(0.0,)), "a deviation is not above 0"),
        (lambda: kinds.ScaledSeries().fitted([]), "There are no series to learn from"),
        (lambda: kinds.ScaledSeries().fitted([[[1]], [[1], [2]]]), "Series 2 has 2 channels, and the first one 1"),
        (
            lambda: kinds.ScaledSeries.from_plain(kinds.ScaledSeries().to_plain()),
            "the stored preprocessing was never fitted",
        ),
        (lambda: kinds.task_from_series([[1.0]], [0], X_test=[[1.0]]), f"X_test and y_test {TOGETHER}"),
        (lambda: as_table([[1, 2]], names=("a",)), "the table has 2 columns, and 1 names were given: name each once"),
        (lambda: as_table(frame(a=np.ones((2, 2)))), r"Column 1 of the table has shape \(2, 2\)"),
        (lambda: kinds.Columns(("a", "a")), "a column's name is no text, or stands twice"),
        (lambda: lm.task_from_arrays(*ROWS, channels=1), "channels = 1 is for images, and X is a table: leave it out"),
        (lambda: lm.task_from_texts(["a"], [0], texts_test=["b"]), f"texts_test and labels_test {TOGETHER}"),
        (lambda: checked_texts(["\ud800"], "mine"), "The text at place 0 of 'mine' is not Unicode: leave it out"),
        (lambda: checked_texts("a text", "mine"), "mine is a single text: give a list of texts"),
        (lambda: checked_texts(Some(columns=["a"]), "mine"), "mine is a table: give one of its columns"),  # type: ignore
        (lambda: [*read_whole_rows(Path("a.xlsx"))], "'a.xlsx' is no table: give a file whose name ends in .csv"),
        (lambda: kinds.Words(least=2).fitted(["once"]), "Words: none stands least = 2 times in the text"),
        (lambda: kinds.Characters(characters=("a",)), "the vocabulary is no text: give its characters"),  # type: ignore
        (lambda: kinds.Characters.from_plain({}), "the stored preprocessing has no text 'characters'"),
        (lambda: PretrainedTokens.from_plain({"tokenizer": [1]}), "the stored tokenizer is no list of texts"),
        (lambda: kinds.LogMel(lowest=500.0, highest=400.0), "lowest = 500 must be below highest = 400"),
        (lambda: kinds.LogMel(bins=512), "LogMel: bins = 512 are too many for windows of 0.025 s at"),
        (lambda: kinds.SpokenWords(words=(1, 1)), r"words = \(1, 1\) must be three numbers of at least 0"),  # type: ignore
        (lambda: kinds.TranscriptTask(".", "a", test_root="b"), f"'test_root' and 'test_table' {TOGETHER}"),
        (lambda: listed_sounds(Path("none"), "a.csv"), "There is no folder none: give the one"),
        (lambda: image_shape(lm.RowShape(3)), "take another space, such as MLPSpace, or give images by height and"),
        (lambda: check_tokens("X", torch.tensor([[3, 9]]), 9), "X has tokens from 3 to 9, but vocabulary = 9"),
        (lambda: check_padding("X", torch.full((1, 2, 3), 0.5)), "X has series whose last feature is no mask"),
        (lambda: check_padding("X", torch.tensor([[1, 0, 1]])), "X has padding within an example"),
        (lambda: kind_of(UNKNOWN), "Task 'told' is of no kind that is known: name it by 'kind'"),
        (lambda: read_given(ROWS, shape=6, start=Some()), "'start' keeps the preprocessing of its model: leave"),
        (lambda: read_given(DATA, test=ROWS), "The test part of a data set must be one, too, not tuple"),
        (lambda: read_given(kinds.Stories(tasks=2)), r"Stories has 2 tasks: give one of them, such as \[0\]"),
        (
            lambda: kinds.SquadTask("a", preprocessing=kinds.QuestionWords()),
            "give QuestionWords with newest_first=False",
        ),
        (lambda: lm.task_from_arrays(*NUMBERS, classes=("a",)), "There are 2 targets, and 1 names of them"),
    ],
)
def test_arguments(asked: Callable[[], object], told: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        asked()


IMAGES = "file,label\na.png,x\nb.png,y\n"


@pytest.mark.parametrize(
    ("files", "asked", "told"),
    [
        ({"a.csv": "label\n1\n2\n"}, lambda: lm.TableTask("a.csv", label="label"), "has no columns but"),
        ({"a": "\n", "b": "\n"}, lambda: lm.ParallelTask("a", "b"), "'a' holds no pairs: give some"),
        ({"a.tsv": "a;b\n1;2\n"}, lambda: [*read_whole_rows(Path("a.tsv"))], "has one column, 'a;b'"),
        ({"a.csv": "x,a,b\n1,1,0\n2,2,1\n"}, lambda: read_given("a.csv", label="a,b"), "at line 3 of .*1 or 0"),
        ({"a.ts": "@data\n"}, lambda: kinds.SeriesTask("a.ts", group="x"), "does not say which series belong together"),
        ({"a.txt": "a text"}, lambda: check_no_files(["a.txt"]), "The texts are names of files, such as 'a.txt'"),
        ({"a.txt": "a text"}, lambda: read_given(".", label="x"), "label = 'x' names a column"),
        ({"a.png": "", "t.csv": "a,b,c\n1,2,3\n"}, lambda: of_table("t.csv"), "call that of the images"),
        ({"a.png": "", "b.png": "", "t.csv": IMAGES + "a.png,y"}, lambda: of_table("t.csv"), "names 'a.png' again"),
        (
            {"a.png": "", "b.png": "", "t.csv": IMAGES, "e/c.png": ""},
            lambda: read_given("t.csv", test="e"),
            "has no table that",
        ),
        ({"omniglot-py/a": ""}, lambda: kinds.Omniglot(".").classes("train"), "no folder .* download"),
        ({"train.csv": IMAGES, "test.csv": IMAGES}, lambda: read_given(".", test_by="x"), "has a test part"),
        ({}, lambda: read_given(pairs(Path()), objective="classification"), "has .* leave 'objective' out"),
        ({}, lambda: read_given(pairs(Path()), min_per_class=2), "Data of the kind 'pairs' have no classes"),
        (
            {},
            lambda: read_given(pairs(Path()), kind="pairs", group="source"),
            "Pairs of texts are divided by their sources",
        ),
        ({}, lambda: read_given(pairs(Path()), test=ROWS), "The test part of a path must be a path, too, not tuple"),
    ],
)
@pytest.mark.usefixtures("here")
def test_files(files: dict[str, str], asked: Callable[[], object], told: str) -> None:
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        asked()


def of_table(table: str) -> ListedFiles:
    return ListedFiles.of_table(Path(table), {".png"}, "images", folder=Path())


def test_arrays_that_a_file_lacks(here: Path) -> None:
    np.savez(here / "a.npz", images=np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"'a.npz' has the arrays 'images': give an .npz"):
        kinds.ImageFolder("a.npz")


def test_what_is_too_large(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MOST_IMAGE_PIXELS", 63)
    with pytest.raises(ValueError, match="is not a readable image"):
        image_files.read_image(images / "dark" / "0.png", (3, 8, 8))
    monkeypatch.setattr(read_examples, "LARGEST_PIPED", 3)
    monkeypatch.setattr("sys.stdin", Some(buffer=BytesIO(b"abcd")))
    with pytest.raises(ValueError, match="Standard input has more than 3 bytes: give a file, or less at once"):
        read_examples.read_new_examples(["-"], "texts")


def test_a_label_without_an_example_to_learn_from(here: Path) -> None:
    lines = [f"say {n},{'a|b' if n % 2 else 'a'},{('train', 'val', 'test')[n // 10]}" for n in range(30)]
    Path("a.csv").write_text("\n".join(["text,label,part", *lines, "say it,a|c,test", "say so,c,test", "so,c,test"]))
    with pytest.raises(ValueError, match=r"'c' .*has no example to learn from: add some, or leave it out"):
        read_given("a.csv", test_by="part", objective="several labels")


def test_a_kind_that_reads_no_new_examples_says_so() -> None:
    with pytest.raises(ValueError, match=r"The kind 'rows' reads no new examples: give them by a data module"):
        Kind.new_examples(type("None", (type(kind_named("rows")),), {"class_files": ()})(), ["a"])


def test_sources_of_docstrings_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_source, "sentences_of", lambda *given: [])
    gc.disable()
    try:
        with pytest.raises(ValueError, match="Docstrings found no sources of Python's own library"):
            text_source._read_all.__wrapped__()
        assert not gc.isenabled()
    finally:
        gc.enable()
