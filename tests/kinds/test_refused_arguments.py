"""What is wrong with an argument, with a stored preprocessing or with a file of any kind is told in one sentence."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace as Some
from typing import Any

import numpy as np
import pytest
import torch
from kind_data import pairs
from PIL import Image
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas import kinds
from lit_metanas.inputs.batches import check_padding, check_tokens
from lit_metanas.inputs.shapes import image_shape
from lit_metanas.kinds import read_examples
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.given_pairs import check_no_files
from lit_metanas.kinds.images import image_files
from lit_metanas.kinds.kind import kind_of
from lit_metanas.kinds.texts import text_source
from lit_metanas.kinds.texts.text_tokens import PretrainedTokens

DATA: Any = TensorDataset(torch.rand(20, 3), torch.arange(20) % 2)
ROWS: Any = np.random.default_rng(0).random((20, 3)), [0, 1] * 10
FRAME: Any = type("Frame", (dict,), {"columns": ["a"]})(a=np.ones((2, 2)))
SERIES, ODD = (
    kinds.ScaledSeries(),
    Some(id="told", shape=None, goal=None, preprocessing=None, name="told", class_files=()),
)
TOGETHER, IMAGES = "belong together: give both or neither", "file,label\na.png,x\nb.png,y\n"
TAGS = (
    "text,label,part\n"
    + "".join(f"say {n},{'a|b' if n % 2 else 'a'},{('train', 'val', 'test')[n // 10]}\n" for n in range(30))
    + "x,c,test\ny,c,test\nz,a|c,test\n"
)


def write(*contents: str) -> Any:
    for name, content in zip(contents[::2], contents[1::2], strict=True):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    return contents[0]


def of_images(table: str, **given: Any) -> lm.Task:
    return read_given(write("a.csv", table, "a.png", "", "b.png", ""), kind="images", **given)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda: kinds.ScaledSeries(("a", "a")), "a channel's name is no text, or stands twice"),
        (lambda: kinds.ScaledSeries(means=(1.0,)), "has 0 names, 1 mean and 0 deviations: give one a channel"),
        (lambda: kinds.ScaledSeries(means=(np.nan,), deviations=(1.0,)), "a mean or deviation is no finite number"),
        (lambda: kinds.ScaledSeries(means=(1.0,), deviations=(0.0,)), "a deviation is not above 0"),
        (lambda: SERIES.fitted([]), "There are no series to learn from: give some"),
        (lambda: SERIES.fitted([[[1]], [[1], [2]]]), "Series 2 has 2 channels, and the first one 1: give all of them"),
        (lambda: SERIES.from_plain(SERIES.to_plain()), "the stored preprocessing was never fitted"),
        (lambda: kinds.task_from_series([[1.0]], [0], X_test=[[1.0]]), f"X_test and y_test {TOGETHER}"),
        (lambda: kinds.Columns(("a",)).fitted([[1, 2]]), "the table has 2 columns and 1 name: name each once"),
        (lambda: kinds.Columns().fitted(FRAME), r"Column 1 of the table has shape \(2, 2\): give each column one name"),
        (lambda: kinds.Columns(("a", "a")), "a column's name is no text, or stands twice"),
        (lambda: lm.task_from_arrays(*ROWS, channels=1), "channels = 1 is for images, and X is a table: leave it out"),
        (lambda: lm.task_from_arrays(ROWS[0], ROWS[0], classes=("a",)), "There are 3 targets and 1 name of them: give"),
        (lambda: lm.task_from_texts(["a"], [0], texts_test=["b"]), f"texts_test and labels_test {TOGETHER}"),
        (lambda: lm.task_from_texts(["\ud800"], [0]), "The text at place 0 of 'texts' is not Unicode: leave it out"),
        (lambda: lm.task_from_texts("a text", [0]), "texts is a single text: give a list of texts"),
        (lambda: lm.task_from_texts(FRAME, [0]), "texts is a table: give one of its columns, or a list of texts"),
        (lambda: kinds.Words(least=2).fitted(["once"]), "Words: none stands least = 2 times in the text"),
        (lambda: kinds.Characters(characters=("a",)), "the vocabulary is no text: give its characters"),  # type: ignore
        (lambda: kinds.Characters.from_plain({}), "the stored preprocessing has no text 'characters'"),
        (lambda: PretrainedTokens.from_plain({"tokenizer": [1]}), "the stored tokenizer is no list of texts"),
        (lambda: kinds.LogMel(lowest=500.0, highest=400.0), "lowest = 500 must be below highest = 400"),
        (lambda: kinds.LogMel(bins=512), "bins = 512 are too many for windows of 0.025 s at .*: take fewer"),
        (lambda: kinds.SpokenWords(words=(1, 1)), r"words = \(1, 1\) must be three numbers of at least 0"),  # type: ignore
        (lambda: kinds.TranscriptTask(".", "a", test_root="b"), f"'test_root' and 'test_table' {TOGETHER}"),
        (lambda: kinds.AudioFolderTask("none", "a.csv"), "There is no folder none: give the one that the files of 'a"),
        (lambda: kinds.SquadTask("a", preprocessing=kinds.QuestionWords()), "give QuestionWords with newest_first=F"),
        (lambda: image_shape(lm.RowShape(3)), "take another space, such as MLPSpace, or give images by height and"),
        (lambda: check_tokens("X", torch.tensor([[3, 9]]), 9), "X has tokens from 3 to 9, but vocabulary = 9: give"),
        (lambda: check_padding("X", torch.full((1, 2, 3), 0.5)), "X has series whose last feature is no mask: let it"),
        (lambda: check_padding("X", torch.tensor([[1, 0, 1]])), "X has padding within an example: let it stand behind"),
        (lambda: kind_of(ODD), "Task 'told' is of no kind that is known: name it by 'kind'"),
        (lambda: kinds.Kind.new_examples(ODD, ["a"]), "The kind 'told' reads no new examples: give them by a data mod"),
        (lambda: read_given(ROWS, shape=6, start=ODD), "'start' keeps the preprocessing of its model: leave 'shape' o"),
        (lambda: read_given(DATA, test=ROWS), "The test part of a data set must be one, too, not tuple"),
        (lambda: read_given(kinds.Stories(tasks=2)), r"Stories has 2 tasks: give one of them, such as \[0\]"),
        (lambda: read_given(pairs(Path()), test=ROWS), "The test part of a path must be a path, too, not tuple"),
        (lambda: read_given(pairs(Path()), objective="classification"), "has .*: leave 'objective' out"),
        (lambda: read_given(pairs(Path()), min_per_class=2), "Data of the kind 'pairs' have no classes: leave 'min_pe"),
        (lambda: read_given(pairs(Path()), kind="pairs", group="source"), "divided by their sources: leave 'group' ou"),
        (lambda: read_given(write("a/a.txt", ""), label="x"), "label = 'x' names a column, and the data are no table"),
        (lambda: read_given(write("a.csv", "x,a,b\n1,1,0\n2,2,1\n"), label="a,b"), "at line 3 of .* holds '2'.*: give"),
        (lambda: check_no_files([write("a.txt", "a text")]), "The texts are names of files, such as 'a.txt': give wha"),
        (lambda: lm.TableTask("a.xlsx"), "'a.xlsx' is no table: give a file whose name ends in .csv"),
        (lambda: lm.TableTask(write("a.csv", "label\n1\n"), label="label"), "has no columns but that of the labels: g"),
        (lambda: lm.TableTask(write("a.tsv", "a;b\n1;2\n")), "has one column, 'a;b': separate columns by tabs"),
        (lambda: lm.ParallelTask(write("a", "\n", "b", "\n"), "b"), "'a' holds no pairs: give some"),
        (lambda: kinds.SeriesTask(write("a.ts", ""), group="x"), "does not say which series belong together: leave"),
        (lambda: kinds.Omniglot(write("omniglot-py/a", "") and ".").classes("train"), "no folder .*: download the bac"),
        (lambda: np.savez("a.npz", images=[1]) or kinds.ImageFolder("a.npz"), "'a.npz' has the arrays 'images': give"),
        (lambda: of_images("file,a,b\na.png,1,2\n"), "call that of the images 'file' and that"),
        (lambda: of_images(IMAGES + "a.png,y\n"), "Line 4 of 'a.csv' names 'a.png' again: leave one of the lines out"),
        (lambda: of_images(IMAGES, test=write("e/c.png", "") and "e"), "'e' has no table that names images: give one"),
        (lambda: read_given(write("d/train.csv", IMAGES, "d/test.csv", IMAGES)[:1], test_by="x"), "has a test part: l"),
        (lambda: read_given(write("a.csv", TAGS), test_by="part"), "'c' .*has no example to learn from: add some"),
    ],
)
@pytest.mark.usefixtures("here")
def test_one_sentence_says_what_is_wrong(asked: Callable[[], object], told: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=told):
        asked()


def test_what_is_too_large_or_absent(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MOST_IMAGE_PIXELS", 63)
    Image.new("L", (8, 8)).save("a.png")
    with pytest.raises(ValueError, match=r"a\.png is not a readable image"):
        image_files.read_image(here / "a.png", (3, 8, 8))
    monkeypatch.setattr(read_examples, "LARGEST_PIPED", 3)
    monkeypatch.setattr("sys.stdin", Some(buffer=BytesIO(b"abcd")))
    with pytest.raises(ValueError, match="Standard input has more than 3 bytes: give a file, or less at once"):
        read_examples.read_new_examples(["-"], "texts")
    monkeypatch.setattr(text_source, "sentences_of", lambda *given: [])
    monkeypatch.setattr(text_source, "gc", Some(isenabled=lambda: False, disable=int))  # which stays disabled
    with pytest.raises(ValueError, match="Docstrings found no sources of Python's own library"):
        text_source._read_all.__wrapped__()
