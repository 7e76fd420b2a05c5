"""What the kinds of data make of what is rare: columns without values, tables beside test parts, stored shapes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kind_data import pairs
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas import kinds
from lit_metanas.kinds.augmentation import augment
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.images.image_files import one_shape
from lit_metanas.kinds.kind import MadeBefore, kind_named
from lit_metanas.kinds.rows.cells import ColumnCells, kind_of_cells
from lit_metanas.kinds.sounds.log_mel import features_for
from lit_metanas.kinds.texts import text_kind
from lit_metanas.kinds.texts.text_tables import labels_in


def cells(values: list[Any]) -> ColumnCells:
    return ColumnCells("a", np.array(values, object))


def test_cells_and_columns() -> None:
    found = [kind_of_cells(cells(own)) for own in (["", None], [*map(str, range(20))], ["99/99/9999"] * 20)]
    assert (found, cells([2.0, "x"]).texts()) == (["gaps", "numbers", "categories"], ["2", "x"])
    frame: Any = type("Frame", (dict,), {"columns": ["a"]})(a=np.arange(0.5, 8.0))
    assert len(kinds.Columns().fitted(frame).columns) == 1
    (gaps,) = kinds.Columns().fitted([[1.5], [None]] * 9).columns
    assert gaps.edges == (1.5, 2.5)  # type: ignore[union-attr]
    colours = lm.task_from_arrays(np.array([["red"], ["blue"]] * 20, object), [0, 1] * 20)
    assert kind_named("rows").preprocessings(colours, None) == {}
    assert kind_named("tables").describe(colours) == ""
    assert labels_in([("line 2", {"a": "1", "label": "5"})], ("a", "b"), numbers=True) == []


def test_labels_of_two_dimensions() -> None:
    X = np.random.default_rng(0).random((40, 3))
    assert lm.task_from_arrays(X, X[:, :2]).goal.kind == "regression"
    for labels in (np.array([["a", "b"]] * 40), np.array([[0, 2]] * 40)):
        with pytest.raises(ValueError, match=r"y has shape \(40, 2\): give one label a row"):
            lm.task_from_arrays(X, labels)


def test_what_was_made_before(here: Path) -> None:
    spelt = kinds.Characters(characters="a"), kinds.Characters(characters="b")
    kind = kind_named("pairs")
    assert kind.as_before(MadeBefore(lm.RowShape(3), None, None), "a") is None
    assert kind.as_before(MadeBefore(lm.RowShape(3), *spelt), "a") == spelt
    assert kind.read(Source(pairs(here), prepared=[kinds.Characters(steps=9)] * 2)).shape.steps == 9
    images = TensorDataset(torch.rand(20, 1, 8, 8), torch.arange(20) % 2)
    for shape in (lm.RowShape(3), lm.ImageShape(1, 8, 8)):
        assert read_given(images, start=MadeBefore(shape, None, None)).shape == (1, 8, 8)
    assert one_shape([torch.rand(8, 8), torch.rand(9, 9)], "X").shape == (2, 3, 32, 32)
    assert len(read_given(kinds.Stories(tasks=1)).test) == 100


def test_test_parts_in_files(here: Path) -> None:
    own = pairs(here)
    with pytest.warns(UserWarning, match="pairs.tsv' repeats .* sources? that (is|are) learned from"):
        assert len(lm.ParallelTask(str(own), test_path=str(own))[0].test) > 9
    Path("a.csv").write_text("text,label\n" + "".join(f"say {n},{'a|b' if n % 3 else 'a'}\n" for n in range(30)))
    Path("b.csv").write_text("text,label\nnow,a|b\nthen,b\n")
    assert read_given("a.csv", test="b.csv").test.labels.tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_texts_and_sounds(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = lm.task_from_texts([f"say {n}" for n in range(20)], [0, 1] * 10)
    task = replace(task, preprocessing=kinds.Words(words=tuple(f"w{n}" for n in range(2001))))
    monkeypatch.setattr(text_kind, "find_spec", lambda name: None)
    assert [*kind_named("texts").preprocessings(task, None)] == ["words", "characters", "1000 words", "n-grams"]
    Path("a.csv").write_text("text,label\n" + "".join(f"x,{name}\ny,{name}\nX,{name}\n" for name in "abcdefgh"))
    with pytest.warns(UserWarning, match="'a.csv' repeats 8 texts of the same class: each is taken once"):
        assert kinds.TextTable("a.csv").sentences("train")
    assert features_for([Path("none.wav")]) == kinds.LogMel()
    assert {kind_named(kind).describe_columns(Source(here)) for kind in ("rows", "texts")} == {""}


def test_noise_is_added_to_numbers_and_tokens_are_hidden() -> None:
    shape = lm.inputs.TextRowShape(numbers=3, vocabulary=9, steps=4)
    inputs = torch.cat([torch.rand(50, 3), torch.full((50, 4), 5.0)], 1)
    changed = augment(inputs, "strong", torch.Generator().manual_seed(0), shape=shape)
    assert (changed[:, :3] != inputs[:, :3]).all()
    assert 0 < (changed[:, 3:] != 5).float().mean() < 1
