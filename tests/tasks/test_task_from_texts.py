"""Lists of texts and labels as one target task."""

from itertools import product
from unicodedata import normalize

import pytest
import torch

import lit_metanas as lm

WORDS = [f"how do I {verb} the {thing}" for thing in ("box", "map", "hat", "key", "cup") for verb in ("fold", "cut")]
VERBS = ["folding", "cutting"] * 5


def test_lists_of_texts_are_a_task_like_a_table_of_them(tmp_path):
    rows = [f"{text},{verb}" for text, verb in zip(WORDS, VERBS, strict=True)]
    (tmp_path / "help.csv").write_text("\n".join(["text,label", *rows]))
    of_file = lm.TextTask(str(tmp_path / "help.csv"), seed=3)[0]
    of_lists = lm.task_from_texts(WORDS, VERBS, seed=3, id="help")
    assert of_lists.classes == of_file.classes == ("cutting", "folding")
    assert of_lists.preprocessing == of_file.preprocessing
    for name in ("train", "val", "test"):
        one, other = getattr(of_lists, name), getattr(of_file, name)
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.labels, other.labels)


def test_the_vocabulary_is_learned_from_the_train_part_alone():
    texts, labels = [f"only{number} here" for number in range(40)], [number % 2 for number in range(40)]
    task = lm.task_from_texts(texts, labels, preprocessing=lm.kinds.Words(least=1))
    assert task.classes == ("0", "1")
    assert set(task.preprocessing.words) == {"here"} | {
        text.split()[0] for text in task.preprocessing.show(task.train.inputs)
    }
    assert {text.split()[0] for text in task.preprocessing.show(task.test.inputs)} == {"\N{REPLACEMENT CHARACTER}"}
    given = lm.kinds.Words(words=("here",), steps=3)
    assert lm.task_from_texts(texts, labels, preprocessing=given).preprocessing == given


def test_texts_that_share_no_word_are_read_by_their_characters(tmp_path):
    stems = ["".join(letters) for letters in product("bdf", "aeiou", "lmn")]
    names = [stem + ending for stem in stems for ending in ("kka", "sson")]
    labels = ["Finnish", "Swedish"] * len(stems)
    task = lm.task_from_texts(names, labels)
    assert isinstance(task.preprocessing, lm.kinds.Characters)
    assert set(task.preprocessing.characters) == set("".join(names))
    (tmp_path / "names.csv").write_text("\n".join(["text,label", *map(",".join, zip(names, labels, strict=True))]))
    assert isinstance(lm.TextTask(str(tmp_path / "names.csv"))[0].preprocessing, lm.kinds.Characters)
    assert isinstance(lm.task_from_texts([f"{name} here" for name in names], labels).preprocessing, lm.kinds.Words)
    marked = [f"{name}, {place}." for place, name in enumerate(names)]
    assert isinstance(lm.task_from_texts(marked, labels).preprocessing, lm.kinds.Characters)
    half = [f"{name} here" if place < len(names) // 4 else name for place, name in enumerate(names)]
    assert isinstance(lm.task_from_texts(half, labels).preprocessing, lm.kinds.Characters)


def test_a_test_part_that_is_given_stays_as_it_is():
    task = lm.task_from_texts(WORDS, [10, 9] * 5, ["the map", "the cup"], [9, 10], val=0, classes={9: "c", 10: "f"})
    assert (task.classes, task.val, len(task.train)) == (("c", "f"), None, 10)
    assert task.test.labels.tolist() == [0, 1]
    assert task.preprocessing.show(task.test.inputs) == ["the map", "the cup"]


def test_a_text_is_not_both_learned_from_and_tested():
    texts = [f"{text} café" for text in WORDS]
    spelled, composed = [text.upper().replace(" ", "  ") for text in texts], [normalize("NFD", text) for text in texts]
    for others in (texts, spelled, composed):
        with pytest.warns(UserWarning, match="texts repeats 10 texts of the same class: each is taken once"):
            task = lm.task_from_texts(texts + others, VERBS * 2)
        assert (len(task.train), len(task.val), len(task.test)) == (6, 2, 2)
    with pytest.warns(UserWarning, match="texts_test repeats 2 texts that are learned from: the test accuracy"):
        lm.task_from_texts(texts, VERBS, [*spelled[:2], "another"], [*VERBS[:2], VERBS[0]])
