"""Students: small networks that learn from an exported model."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import photographs

import lit_metanas as lm
from lit_metanas.automl import calls
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.given_data import read_given
from lit_metanas.kinds.kind import kind_of
from lit_metanas.training.given_models import Teacher

pytestmark = pytest.mark.usefixtures("short_trials")

FLOPS = (3e9, 6e9)

OPTIONS: dict[str, Any] = {"records": (), "progress": False, "workers": 1}


def sentences(file: Path, words: dict[str, str]) -> Path:
    """Texts whose class is that of one word."""
    numbers = [f"{first} of {second}" for first in range(5) for second in range(3)]
    rows = [f"{word} number {number},{label}" for word, label in words.items() for number in numbers]
    file.write_text("\n".join(["text,label", *rows]))
    return file


def result_of(output: Path) -> dict[str, Any]:
    """What the files of a search say of its result."""
    done: dict[str, Any] = json.loads((output / "auto.json").read_text())["done"]
    return done


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats and dogs."""
    return photographs(tmp_path_factory.mktemp("pictures") / "photographs", "cat", "dog", number=20, seed=1)


@pytest.fixture(scope="module")
def teacher(pictures: Path) -> Path:
    """A model of them."""
    lm.auto(pictures, flops=FLOPS, output=pictures.parent / "teacher", **OPTIONS)
    return pictures.parent / "teacher"


def test_a_student_is_compared_with_its_teacher(
    pictures: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(flops: Any = FLOPS) -> lm.SearchResult:
        options = {**OPTIONS, "progress": True, "max_parameters": 15_000, "flops": flops}
        return lm.distil(teacher, pictures, output=tmp_path / "out", **options)

    result = call()
    assert f"auto: learns from '{teacher}'." in capsys.readouterr().err
    compared = result.teacher
    assert compared is not None
    files = [row.example for row in result.examples]
    meant = [row.truth for row in result.examples]
    said = [lm.load(folder).show(files) for folder in (tmp_path / "out", teacher)]
    right = [np.array([one == other for one, other in zip(each, meant, strict=True)]) for each in said]
    gains = right[0].astype(float) - right[1]
    assert compared.score == right[1].mean()
    assert compared.ahead == pytest.approx(gains.mean())
    assert compared.half == pytest.approx(1.959964 * gains.std(ddof=1) / len(gains) ** 0.5)
    assert compared.agreement == np.mean([one == other for one, other in zip(*said, strict=True)])
    assert compared.sizes == tuple((folder / "model.pt2").stat().st_size for folder in (tmp_path / "out", teacher))
    assert result.parameters <= 15_000
    assert compared.sizes[0] < compared.sizes[1]
    before = lm.load(teacher)
    assert compared.cost.images == 40
    members = result_of(teacher)["ensemble"]
    cost = lm.default_space(before.shape).cost(lm.Architecture(before.architecture), before.shape, 2)
    assert compared.cost.flops == 40 * members * cost.flops
    for text in (str(result), *((tmp_path / "out" / name).read_text() for name in ("README.md", "report/report.md"))):
        assert "of its teacher in" in " ".join(text.split())
    assert call().teacher == compared  # read from the files of the finished search
    assert "was already finished" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "out")
    assert call(result.budget).examples == result.examples


@pytest.mark.slow
def test_what_the_teacher_says_is_in_the_order_of_examples_and_classes(tmp_path: Path) -> None:
    """Also if it takes other tokens than the student, and two kinds of them."""
    words = {"good": "praise", "fine": "praise", "bad": "blame", "poor": "blame"}
    data = sentences(tmp_path / "texts.csv", words)
    before = lm.auto(data, flops=(3e8, 2e9), output=tmp_path / "model", **OPTIONS)
    assert before.linear is not None, "the model is to have a linear part"
    given, task = Teacher.read(tmp_path / "model"), read_given(data)
    texts = [f"{word} thing {number}" for word in words for number in range(3)]

    def read(prepared: Any) -> lm.Task:
        return read_given(data, prepared=prepared)

    for order in ([0, 1], [1, 0]):
        names = tuple(given.model.classes[place] for place in order)
        one = replace(given, model=replace(given.model, classes=names))
        lesson = one.lesson(task, kind_of(task), read, unlabelled=texts)
        assert task.preprocessing is not None
        shown = [task.preprocessing.show(part.inputs) for part in (task.train, task.val, task.test) if part]
        outputs = (*lesson.parts.values(), lesson.outputs)
        for own, said in zip((*shown, texts), outputs, strict=True):
            torch.testing.assert_close(said.softmax(1), given.model.predict(own)[:, order])
        taught = lesson.with_further(lesson.taught(task))
        assert torch.equal(taught.train.inputs[len(task.train) :], task.preprocessing.encode(texts))
        assert taught.train.labels[len(task.train) :, 0].isnan().all()
        assert torch.equal(taught.train.labels[: len(task.train), 0].long(), task.train.labels)
        assert torch.equal(taught.test.labels, task.test.labels)  # nothing of the teacher


def test_texts_to_learn_from_are_recombined(tmp_path: Path) -> None:
    """Each new text has neighbouring words of one, and then of another; none is to choose by or to test with."""
    data = sentences(tmp_path / "texts.csv", {"good": "praise", "bad": "blame"})
    space, task = lm.SequenceSpace(), read_given(data)
    network = space.child(space.canonical(space.sample(torch.Generator().manual_seed(0))), task.shape, 2)
    made = {"shape": task.shape, "preprocessing": task.preprocessing}
    lm.export_child(network, tmp_path / "model", architecture={}, classes=task.classes, **made)
    one, raw = Teacher.read(tmp_path / "model"), [line.split(",")[0] for line in data.read_text().splitlines()[1:]]

    def read(prepared: Any) -> lm.Task:
        return read_given(data, prepared=prepared)

    learned = {
        row
        for row, own in zip(raw, task.preprocessing.encode(raw), strict=True)
        if (own == task.train.inputs).all(1).any()
    }
    frequent = Counter(word for text in raw if text in learned for word in text.split()).most_common(len(task.train))
    lessons = [one.lesson(task, kind_of(task), read, data=given) for given in (data, (raw, None))]
    for lesson in lessons:
        assert lesson.recombined == len(lesson.further) == len(task.train) + len(frequent)
        assert lesson.further[len(task.train) :] == [word for word, _ in frequent]
        assert lesson.further == lessons[0].further
        torch.testing.assert_close(lesson.outputs.softmax(1), one.model.predict(lesson.further))
    assert len(learned) == len(task.train)
    for text in lessons[0].further[: len(task.train)]:
        words = text.split()
        halves = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
        assert any(all(any(f" {half} " in f" {known} " for known in learned) for half in both) for both in halves)


def test_unlabelled_copies_of_test_examples_are_left_out(pictures: Path, teacher: Path, tmp_path: Path) -> None:
    """Those of a folder, next to new ones; the others are learned from."""
    new = photographs(tmp_path / "more", "cat", "dog", number=5, seed=2)
    shutil.copytree(pictures, new, dirs_exist_ok=True)
    result = lm.distil(teacher, pictures, flops=FLOPS, unlabelled=new, **OPTIONS)
    assert result.teacher is not None
    assert result.teacher.further == "34 unlabelled examples"  # of 40 known ones, 8 choose and 8 test
    assert result.images[0] == 32 + 34
    assert "also learned from 34 unlabelled examples" in " ".join(str(result).split())


def test_numbers_are_taught(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 3)).round(3)
    y = 100 + 30 * np.sin(2 * X[:, 0]) * X[:, 1]  # which no linear model predicts
    lines = [",".join(f"{each:.4f}" for each in (*row, target)) for row, target in zip(X, y, strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,c,target", *lines]))
    (tmp_path / "new.csv").write_text("\n".join(["a,b,c", *(line.rsplit(",", 1)[0] for line in lines[:20])]))
    lm.auto(tmp_path / "rows.csv", flops=(3e7, 6e7), output=tmp_path / "model", **OPTIONS)
    result = lm.distil(
        tmp_path / "model", tmp_path / "rows.csv", unlabelled=tmp_path / "new.csv", flops=(3e7, 6e7), **OPTIONS
    )
    assert result.teacher is not None
    assert result.metric == "R2"
    assert result.teacher.ahead == pytest.approx(result.test_score - result.teacher.score)
    assert result.teacher.agreement > 0.2
    assert result.objective.kind == "regression"
    assert result.objective.reaches is not None


@pytest.mark.slow
def test_a_call_that_was_killed_between_teacher_and_student_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(output: Path) -> lm.SearchResult:
        return lm.auto(pictures, student=True, flops=(4e9, 8e9), output=output, max_size="100kB", **OPTIONS)

    whole = call(tmp_path / "whole")
    assert whole.teacher is not None
    assert whole.teacher.place == str(tmp_path / "whole" / "teacher")
    assert whole.teacher.sizes[0] <= 100_000

    def killed(options: lm.automl.AutoOptions, **more: Any) -> lm.SearchResult:
        if options.teacher is not None:
            raise SystemExit
        return run_auto(options, **more)

    run_auto = calls.run_auto
    with monkeypatch.context() as patched:
        patched.setattr(calls, "run_auto", killed)
        with pytest.raises(SystemExit):
            call(tmp_path / "out")
    teacher = tmp_path / "out" / "teacher" / "model.pt2"
    written = teacher.stat().st_mtime_ns
    assert call(tmp_path / "out").examples == whole.examples
    assert teacher.stat().st_mtime_ns == written


def test_the_verb(pictures: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--flops", "[3e9,6e9]", "--max-parameters", "5000", "--workers", "1"]
    assert main(["distil", str(teacher), str(pictures), *words]) == 0
    assert lm.load("student").classes == ("cat", "dog")
    assert f"lit-metanas distil --model={teacher} {pictures} " in Path("student/README.md").read_text()


def test_what_does_not_fit_is_refused(pictures: Path, teacher: Path, tmp_path: Path) -> None:
    """Each in a sentence."""
    birds = photographs(tmp_path / "birds", "cat", "bird", number=10, seed=3)
    texts = sentences(tmp_path / "texts.csv", {"good": "cat", "bad": "dog"})
    (tmp_path / "empty").mkdir()
    images, labels = torch.rand(20, 3, 12, 12), ["cat", "dog"] * 10
    task = lm.task_from_arrays(images, labels)
    refused: list[tuple[type[Exception], str, Any, Any, dict[str, Any]]] = [
        (FileNotFoundError, "There is no model 'nowhere' to learn from: give", "nowhere", pictures, {}),
        (FileNotFoundError, "There is no 'model.json' in", tmp_path / "empty", pictures, {}),
        (ValueError, "have not the same classes: 'bird', 'dog' only one of them has", teacher, birds, {}),
        (
            ValueError,
            "is for classification of images, and task 'texts' is classification of texts",
            teacher,
            texts,
            {},
        ),
        (ValueError, "There are no new examples in '.*empty'", teacher, pictures, {"unlabelled": tmp_path / "empty"}),
        (ValueError, "There are no unlabelled images", teacher, pictures, {"unlabelled": []}),
        (ValueError, "There are no unlabelled images but those", teacher, task, {"unlabelled": task.test.inputs}),
        (ValueError, "No network of .* is within max_parameters = 10", teacher, pictures, {"max_parameters": 10}),
    ]
    for kind, sentence, model, data, more in refused:
        with pytest.raises(kind, match=sentence):
            lm.distil(model, data, flops=FLOPS, **{**OPTIONS, **more})


def test_a_student_is_small_by_default() -> None:
    assert lm.automl.AutoOptions("photos", teacher="model").limits.given == {"size": 500_000}
    assert lm.automl.AutoOptions("photos", teacher="model", max_flops=1e6).limits.given == {"flops": 1e6}
