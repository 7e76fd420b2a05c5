"""Searches that go on from an exported model, with more data or further classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from auto_toys import photographs

import lit_metanas as lm
from lit_metanas.inputs.batches import as_floats
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.rows.row_kind import RowKind
from lit_metanas.training.given_models import ModelStart, read_start

pytestmark = pytest.mark.usefixtures("short_trials")

FLOPS = (3e9, 6e9)


def sentences(file: Path, words: dict[str, str]) -> Path:
    """Texts whose class is that of one word."""
    rows = [f"{word} number {number},{label}" for word, label in words.items() for number in range(15)]
    file.write_text("\n".join(["text,label", *rows]))
    return file


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of cats and dogs."""
    folder = tmp_path_factory.mktemp("learned")
    data = photographs(folder / "photographs", "cat", "dog", number=20, seed=1)
    lm.auto(data, flops=FLOPS, output=folder / "model", records=(), progress=False, workers=1)
    return folder / "model"


def begun(start: Path, data: Path) -> tuple[ModelStart, lm.Task, torch.nn.Module]:
    """A start, the data as its network takes them, and the network with which a search of the data begins."""
    known = read_start(start)
    assert isinstance(known, ModelStart)
    task = read_given(data, start=known.made_before).trainable()
    space = lm.default_space(task.shape)
    architecture, weights = known.network(space, task)
    return known, task, space.child(architecture, task.shape, task.way, weights).eval()


def test_a_new_class_begins_with_the_mean_of_those_that_are_known(learned: Path, tmp_path: Path) -> None:
    data = photographs(tmp_path / "more", "bird", "cat", "dog", number=10, seed=2)
    start, task, network = begun(learned, data)
    assert task.classes == ("bird", "cat", "dog")
    inputs = as_floats(task.test.inputs)
    with torch.no_grad():
        own, before = network(inputs), start.model.network(inputs)
    torch.testing.assert_close(own[:, 1:], before)
    torch.testing.assert_close(own[:, 0], before.mean(1))


def test_the_model_is_the_first_candidate_and_is_compared_on_the_same_examples(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = photographs(tmp_path / "more", "bird", "cat", "dog", number=15, seed=2)

    def call() -> lm.SearchResult:
        return lm.auto(data, flops=FLOPS, start=learned, output=tmp_path / "out", records=(), workers=1)

    result, start = call(), read_start(learned)
    assert isinstance(start, ModelStart)
    assert dict(result.record.trials[0].architecture) == start.model.architecture
    assert f"the first network is that of '{learned}', on images of shape" in capsys.readouterr().err
    known = [lm.load(learned).show(result.test.inputs), [result.classes[label] for label in result.test.labels]]
    right = [one == other for one, other in zip(*known, strict=True)]
    new = [max(each, key=lambda name: each[name]) for each in result.predict(result.test.inputs)]
    gains = [(one == other) - was for one, other, was in zip(new, known[1], right, strict=True)]
    half = 1.959964 * np.std(gains, ddof=1) / len(gains) ** 0.5
    assert result.earlier.startswith(f"the model in '{learned}' has {100 * np.mean(right):.1f} % on the same 9 test")
    assert f"this one is {100 * np.mean(gains):+.1f} ± {100 * half:.1f} points ahead" in result.earlier
    assert " ".join(str(result).split()).count(result.earlier) == 1
    assert call().earlier == result.earlier


def test_texts_are_read_as_before_also_by_a_linear_model(tmp_path: Path) -> None:
    first = sentences(tmp_path / "first.csv", {"good": "praise", "bad": "blame"})
    more = sentences(tmp_path / "more.csv", {"fine": "praise", "poor": "blame", "good": "praise", "bad": "blame"})
    options = {"flops": (3e8, 2e9), "records": (), "progress": False, "workers": 1}
    before = lm.auto(first, output=tmp_path / "model", **options)
    after = lm.auto(more, start=tmp_path / "model", **options)
    assert before.linear is not None, "the model is to have a linear part"
    _, task, _ = begun(tmp_path / "model", more)
    assert task.preprocessing == before.preprocessing.first
    assert "on the same 12 test examples" in after.earlier


def test_numbers_keep_their_meaning_under_another_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowKind, "features", {})  # a network alone
    generator = np.random.default_rng(0)
    for name, middle in (("first", 100.0), ("more", 900.0)):
        X = generator.normal(size=(80, 3))
        y = middle + 30 * np.sin(2 * X[:, 0]) * X[:, 1]
        lines = [",".join(f"{each:.4f}" for each in (*row, target)) for row, target in zip(X, y, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c,target", *lines]))
    options = {"flops": (3e7, 3e7), "records": (), "progress": False, "workers": 1}
    first = lm.auto(tmp_path / "first.csv", output=tmp_path / "model", **options)
    start, task, network = begun(tmp_path / "model", tmp_path / "more.csv")
    with torch.no_grad():
        own, before = task.goal.values(network(task.test.inputs)), start.model.network(task.test.inputs)
    torch.testing.assert_close(own.float(), before)
    after = lm.auto(tmp_path / "more.csv", start=tmp_path / "model", output=tmp_path / "again", **options)
    assert "on the same 16 test examples" in after.earlier
    assert first.objective.reaches is not None
    assert after.objective.reaches is None  # the earlier model may have learned from the examples that show its errors
    assert "It has no prediction intervals, and it" in (tmp_path / "again" / "README.md").read_text()


def test_a_start_that_does_not_fit_is_refused(learned: Path, tmp_path: Path) -> None:
    data = photographs(tmp_path / "more", "cat", "dog", number=10, seed=3)
    texts = sentences(tmp_path / "texts.csv", {"good": "praise", "bad": "blame"})
    with pytest.raises(ValueError, match="takes other inputs than task 'texts' has: give the data as paths"):
        lm.auto(texts, start=learned, flops=FLOPS, progress=False)
    with pytest.raises(ValueError, match="is none of LayeredSpace: give the space that it was found in"):
        lm.auto(data, start=learned, flops=FLOPS, space=lm.LayeredSpace(widths=(4,)), progress=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"There is no 'model.json' in '.*empty'"):
        lm.auto(data, start=tmp_path / "empty", flops=FLOPS, progress=False)
