"""The preprocessings that ``auto`` is offered for each kind of data."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from spoken_files import write_sounds
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas.inputs.batches import as_floats
from lit_metanas.kinds import kind as data_kinds
from lit_metanas.kinds.given_data import other_ways, read_given
from lit_metanas.kinds.images import image_kind
from lit_metanas.kinds.texts.text_kind import NGRAMS


def ways_of(data: Any, **more: Any) -> Mapping[str, Callable[[], lm.Task]]:
    """What makes the task of data under each preprocessing, the usual one first."""
    given = {"kind": None, "test": None, "group": None, **more}
    return other_ways(data, read_given(data, **given), **given)


def photos(root: Path, side: int) -> Path:
    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        for place in range(6):
            pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{place}.png")
    return root


def test_images_in_files_are_read_again(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", side=64)
    ways = ways_of(root)
    assert [*ways] == ["colour 32x32", "colour 64x64", "colour 16x16", "grey 32x32"]
    direct = lm.FolderTask(str(root), (3, 64, 64))[0]
    assert torch.equal(as_floats(ways["colour 64x64"]().test.inputs), direct.test.inputs)
    root = photos(tmp_path / "small", side=20)  # of which no more would be seen at 64x64
    for file in root.glob("*/*.png"):
        Image.open(file).convert("L").convert("RGB" if file.stem == "1" else "L").save(file)
    assert [*ways_of(root)] == ["grey 32x32", "grey 16x16"]  # as all files are
    assert torch.equal(as_floats(read_given(root).test.inputs), lm.FolderTask(str(root), (1, 32, 32))[0].test.inputs)
    Image.new("RGB", (20, 20), "red").save(root / "two" / "0.png")
    assert [*ways_of(root)] == ["colour 32x32", "colour 16x16", "grey 32x32"]


def test_a_person_sets_the_size_of_images(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", side=64)
    assert [*ways_of(root, shape=48)] == ["colour 48x48", "colour 24x24", "grey 48x48"]
    task, kind = read_given(root, shape=48), image_kind.ImageKind()
    assert torch.equal(as_floats(task.test.inputs), lm.FolderTask(str(root), (3, 48, 48))[0].test.inputs)
    said = kind.describe_columns(data_kinds.Source(root)) + kind.describe(task)
    assert said == " The shorter side of the files has about 64 pixels., 48x48 pixels"
    arrays = np.random.default_rng(0).random((20, 12, 10)).astype(np.float32), [0, 1] * 10
    assert read_given(arrays, shape=6).shape == (1, 6, 6)
    assert {make().shape for make in ways_of(arrays, shape=24).values()} == {(1, 24, 24), (1, 12, 12)}
    texts = [f"text {place}" for place in range(20)], ["a", "b"] * 10
    for option, value in (("shape", 6), ("window", 5.0)):
        with pytest.raises(ValueError, match=f"Data of the kind 'texts' have no '{option}': leave it out"):
            read_given(texts, **{option: value})
    with pytest.raises(ValueError, match="A task has its inputs: leave 'shape' out"):
        read_given(read_given(root), shape=6)


def test_images_in_memory_are_resized_only_once_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    resized, fit = list[tuple[int, ...]](), image_kind.fit_images

    def noted(images: torch.Tensor, shape: lm.ImageShape) -> torch.Tensor:
        resized.append(tuple(shape))
        return fit(images, shape)

    monkeypatch.setattr(image_kind, "fit_images", noted)
    ways = ways_of((np.random.default_rng(0).random((20, 3, 32, 32)), [0, 1] * 10))
    assert not resized
    ways["colour 16x16"]()
    assert set(resized) == {(3, 16, 16)}


def test_rows_have_columns_of_several_scales(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).lognormal(size=(40, 2))
    labels = ["pieces of columns", "standardised columns", "quantiles of columns", "standardised together"]
    ways = ways_of((rows, np.arange(40) % 2))
    assert [*ways] == labels
    scores = ways["quantiles of columns"]().train.inputs
    assert float(scores[:, 0].mean().abs()) < 0.2
    assert scores.abs().max() <= 3
    together = ways["standardised together"]().preprocessing
    assert isinstance(together, lm.kinds.Columns)
    assert len({(column.mean, column.deviation) for column in together.columns}) == 1
    lines = [f"{a},{b},{n % 2},{n // 4}" for n, (a, b) in enumerate(rows)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,label,group", *lines]))
    read = ways_of(tmp_path / "rows.csv", group="group")
    assert [*read] == labels
    usual, quantiles = (read[label]().train.labels for label in labels[:2])
    assert torch.equal(usual, quantiles)
    data = TensorDataset(torch.from_numpy(rows), torch.arange(40) % 2)
    listed = ways_of(data, group=[*range(20)] * 2)
    assert [*listed] == labels
    inputs = [made().train.inputs for made in listed.values()]
    assert not any(torch.equal(one, other) for one, other in combinations(inputs, 2))
    assert ways_of(read_given((rows, np.arange(40) % 2))) == {}  # a task has its own


def test_texts_have_words_and_characters() -> None:
    texts = [f"text {n} " + " ".join(f"w{(n * k) % 9}" for k in range(50)) for n in range(40)]
    ways = ways_of((texts, [n % 2 for n in range(40)]))
    assert [*ways] == ["words", "words, first 96 of a text", "characters", "byte pairs", "n-grams"]
    longest = max(len(lm.kinds.NGrams().split(text)) for text in texts)
    assert [made().shape.steps for made in ways.values()] == [32, 96, 128, 48, pytest.approx(5 * longest / 4, rel=0.3)]
    for length, longer in ((60, False), (100, True)):  # texts without words
        genes = ["".join(np.random.default_rng(n).choice(list("acgt"), length)) for n in range(20)]
        offered = [*ways_of((genes, [0, 1] * 10))]
        assert offered[0] == "characters"
        assert not any("words" in label for label in offered)
        assert ("characters, first 128 of a text" in offered) == longer


def test_sounds_have_bands_and_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sounds(tmp_path, each=4)
    ways = ways_of(tmp_path)
    assert [*ways] == ["40 bands, 25 ms", "80 bands, 25 ms", "20 bands, 25 ms", "40 bands, 50 ms"]
    assert tuple(ways["40 bands, 50 ms"]().shape) == (41, 50)
    monkeypatch.setattr(data_kinds, "MOST_BYTES", 1)  # and so none that takes more than usual
    assert [*ways_of(tmp_path)] == [one for one in ways if "80" not in one]


def test_a_task_of_texts_has_n_grams_too_unless_a_part_of_it_was_taken() -> None:
    letters = [f"say {one}{place}" for place, one in enumerate(["ailo", "euko"] * 80)], ["l", "k"] * 80
    task = lm.task_from_texts(*letters)
    read = other_ways(task, task, kind=None, test=None, group=None)
    assert [*read] == ["", NGRAMS]
    made, of_texts = read[NGRAMS](), other_ways(letters, task, kind=None, test=None, group=None)[NGRAMS]()
    assert made.preprocessing == of_texts.preprocessing
    assert (made.test_names, made.shape) == (task.test_names, of_texts.shape)
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(made, part).inputs, getattr(of_texts, part).inputs)
    assert not other_ways(task, replace(task, train=task.train.spread(9)), kind=None, test=None, group=None)
