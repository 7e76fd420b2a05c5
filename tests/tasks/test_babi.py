"""Files in bAbI's format as tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lit_metanas as lm
from lit_metanas.kinds.questions.babi import read_stories

PLACES = ("mill", "park", "pier")


def story(number: int) -> str:
    place, other = PLACES[number % 3], PLACES[(number + 1) % 3]
    return (
        f"1 Ada runs to the {place}.\n2 Where is Ada?\t{place}\t1\n"
        f"3 Tom takes a bus to the {other}.\n4 Where is Tom?\t{other}\t3\n"
    )


@pytest.fixture
def folder(tmp_path):
    for name in ("qa1_place", "qa2_other", "qa10_last"):
        (tmp_path / f"{name}_train.txt").write_text("".join(story(number) for number in range(10)))
        (tmp_path / f"{name}_test.txt").write_text("".join(story(number) for number in range(4)))
    return tmp_path


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_question_is_asked_of_the_sentences_before_it(folder):
    first, second, third, *_ = read_stories(folder / "qa1_place_train.txt")
    assert (first.question, first.seen, first.answer) == ("Where is Ada?", 1, "mill")
    assert (second.question, second.seen, second.answer) == ("Where is Tom?", 2, "park")
    assert first.story == ["Ada runs to the mill.", "Tom takes a bus to the park."]
    assert first.story is second.story is not third.story


def test_a_task_has_the_given_split_and_val_from_the_end_of_train(folder):
    task = lm.kinds.BabiTask(str(folder / "qa1_place_train.txt"), val=0.2)[0]
    assert (task.id, task.classes, task.goal.metric) == ("qa1_place", PLACES, "accuracy")
    assert (len(task.train), len(task.val), len(task.test)) == (16, 4, 8)
    assert task.preprocessing.show(task.val.inputs[:2]) == [
        "where is ada? | ada runs to the pier.",
        "where is tom? | tom takes a bus to the mill. ada runs to the pier.",
    ]
    assert [task.classes[label] for label in task.val.labels] == ["pier", "mill", "mill", "park"]
    lm.tasks.check_task(task)
    write(folder / "qa1_place_test.txt", story(0).replace("Ada", "Zoe").replace("\tmill", "\tpier, mill"))
    task = lm.kinds.BabiTask(str(folder / "qa1_place_train.txt"), val=0)[0]
    assert task.val is None
    assert task.preprocessing.show(task.test.inputs[:1]) == ["where is �? | � runs to the mill."]
    assert task.classes == ("mill", "park", "pier", "pier,mill")


def test_no_story_is_on_both_sides(folder):
    for share in (0.01, 0.13, 0.5, 0.99):
        task = lm.kinds.BabiTask(str(folder / "qa1_place_train.txt"), val=share)[0]
        assert len(task.train) % 2 == len(task.val) % 2 == 0
        assert min(len(task.train), len(task.val)) >= 2


def test_the_test_file_may_have_any_name(folder):
    write(folder / "more.txt", story(0))
    assert len(lm.kinds.BabiTask(str(folder / "qa1_place_train.txt"), str(folder / "more.txt"))[0].test) == 2
    with pytest.raises(ValueError, match=r"does not end in _train.txt: give 'test_path'"):
        lm.kinds.BabiTask(str(folder / "more.txt"))


def test_an_over_long_story_loses_its_oldest_sentences_with_a_warning(tmp_path):
    lines = [f"{n} Ada runs to the {PLACES[n % 3]}." for n in range(1, 200)]
    write(tmp_path / "long_train.txt", "\n".join([*lines, "200 Where is Ada?\tpark\t199"]))
    write(tmp_path / "long_test.txt", story(0))
    with pytest.warns(UserWarning, match="1 question of '.*long_train.txt' and their stories do not fit into 128"):
        task = lm.kinds.BabiTask(str(tmp_path / "long_train.txt"), val=0)[0]
    (shown,) = task.preprocessing.show(task.train.inputs)
    assert shown.startswith("where is ada? | ada runs to the park. ada runs to the mill.")
    assert int((task.train.inputs > 0).sum()) == 5 + 6 * (123 // 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no questions: give a file with stories"),
        ("Ada runs.\n", r"Line 1 of '.*' is 'Ada runs\.', not a number and a sentence"),
        ("1 Ada runs.\n2\n", "Line 2 of '.*' is '2', not a number and a sentence"),
        ("1 Ada runs.\n3 Who runs?\tAda\t1\n", "Line 2 of '.*' has the number 3 behind 1: count on, or begin"),
        ("1 Ada runs.\n2 Who runs?\n", r"Line 2 of '.*' has no answer to 'Who runs\?': put a tab and the answer"),
        ("1 Who runs?\tAda\t1\n", "Line 1 of '.*' has a question before any sentence"),
        ("1 Ada runs.\n2 \tAda\t1\n", "has no question before its answer"),
        ("1 Ada runs.\n2 Who runs?\tAda\tone\n", "has more than a question, an answer and numbers of sentences"),
        ("1 Ada " + "x" * 100_001, "has 100005 characters, more than 100000: shorten it"),
    ],
)
def test_a_malformed_file_gets_a_sentence(folder, content, message):
    file = write(folder / "qa1_place_train.txt", content)
    with pytest.raises(ValueError, match=message):
        lm.kinds.BabiTask(str(file))


def test_what_is_missing_gets_a_sentence(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file 'gone_train.txt'"):
        lm.kinds.BabiTask("gone_train.txt")
    (folder / "qa1_place_test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*qa1_place_test.txt'"):
        lm.kinds.BabiTask(str(folder / "qa1_place_train.txt"))
    with pytest.raises(ValueError, match=r"validation part = 1\.0 must be at least 0 and below 1"):
        lm.kinds.BabiTask(str(folder / "qa2_other_train.txt"), val=1.0)
    one = write(tmp_path / "one_train.txt", story(0))
    with pytest.raises(ValueError, match="has questions about one story, too few for a train and a validation part"):
        lm.kinds.BabiTask(str(one), str(one))
    same = write(tmp_path / "same_train.txt", "1 Ada runs.\n2 Who runs?\tAda\n" * 4)
    with pytest.raises(ValueError, match=r"All questions of '.*same_train.txt' have the answer 'Ada': give such with"):
        _ = lm.kinds.BabiTask(str(same), str(same))[0]


def test_a_story_of_many_sentences_takes_no_long_time(tmp_path):
    lines = [f"{2 * n + 1} Ada runs.\n{2 * n + 2} Who runs?\t{'Ada' if n % 2 else 'Tom'}" for n in range(4_000)]
    file = write(tmp_path / "many_train.txt", "\n".join(lines))
    with pytest.warns(UserWarning, match="what is too long is cut"):
        task = lm.kinds.BabiTask(str(file), str(file), val=0)[0]
    assert len(task.train) == 4_000


def test_an_exported_network_answers_new_questions(folder, tmp_path):
    task = lm.kinds.BabiTask(str(folder / "qa1_place_train.txt"))[0]
    space = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,))
    result = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1), progress=False)
    result.export(tmp_path / "out")
    asked = ["Where is Tom?\tTom takes a bus to the pier. Zoe sings."]
    exported = lm.load(tmp_path / "out")
    assert exported.classes == PLACES
    again = exported.predict(asked)[0]
    told = result.predict(asked)[0]
    assert torch.allclose(again, torch.tensor([told[name] for name in PLACES]), atol=1e-5)
