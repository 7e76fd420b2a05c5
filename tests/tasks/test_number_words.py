"""Numbers spelled out in many languages."""

import hashlib
import json
import time

import pytest

from lit_metanas.inputs import TokenShape
from lit_metanas.io import packages
from lit_metanas.kinds import Characters, NumberWords
from lit_metanas.kinds.pairs.number_words import LARGEST_SPELLED, spell, spelled_languages
from lit_metanas.tasks import check_task

pytest.importorskip("unicode_rbnf", reason="needs the extra translation")

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
EINER = ["null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"]
ZEHNER = ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
SUBSETS = ("train", "val", "test")


def english():
    """0 to 999 by plain loops."""
    found = list(ONES)
    for ten in TENS:
        found += [ten, *(f"{ten}-{one}" for one in ONES[1:10])]
    small = list(found)
    for hundred in ONES[1:10]:
        found += [f"{hundred} hundred", *(f"{hundred} hundred {rest}" for rest in small[1:])]
    return found


def german():
    """0 to 999 by plain loops."""
    found = [*EINER, "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"]
    for ten in ZEHNER:
        found += [ten, *(f"{one}und{ten}" for one in EINER[1:10])]
    found[1] = "eins"
    small = list(found)
    for hundred in EINER[1:10]:
        found += [f"{hundred}hundert", *(f"{hundred}hundert{rest}" for rest in small[1:])]
    return found


def shown(task, part):
    split = getattr(task, part)
    sources = task.preprocessing.show(split.inputs)
    return dict(zip(sources, task.goal.target.show(split.labels), strict=True))


def test_numbers_are_spelled_as_plain_loops_do():
    assert spell(range(1000), "en") == english()
    assert spell(range(1000), "de") == german()


def test_each_number_has_a_name_of_its_own_in_each_language():
    numbers = [*range(0, 200), *range(200, LARGEST_SPELLED, 97), *range(1000, LARGEST_SPELLED, 500), LARGEST_SPELLED]
    distinct = len(set(numbers))
    for language in spelled_languages(None):
        texts = spell(sorted(set(numbers)), language)
        assert len(set(texts)) == distinct, language
        assert not any(letter.isdigit() or letter == "\u200b" for letter in "".join(texts)), language
        assert all(text == " ".join(text.split()) for text in texts), language


def test_a_task_is_digits_and_their_words():
    tasks = NumberWords(meta_test=["en", "de"])
    assert (len(tasks), tasks.names, tasks[0].id) == (2, ("en", "de"), "numberwords/test/en")
    for task, words in zip(tasks, (english(), german()), strict=True):
        check_task(task)
        parts = [shown(task, part) for part in SUBSETS]
        assert [len(part) for part in parts] == [300, 100, 100]
        assert len(set().union(*parts)) == 500
        for part in parts:
            assert all(words[int(digits)] == text for digits, text in part.items())
        assert task.shape == tasks.shape == TokenShape(12, 3)
        assert task.objective.target.steps == 80


def test_a_task_translates_from_one_language_to_another():
    tasks = NumberWords(source="en", meta_test=["de"], train=20, val=10, test=30, largest=99)
    pairs = [pair for part in SUBSETS for pair in shown(tasks[0], part).items()]
    assert len(pairs) == 60
    assert set(pairs) <= set(zip(english()[:100], german()[:100], strict=True))
    assert "en" not in {name for s in SUBSETS for name in NumberWords(s, source="en").names}


def test_languages_are_held_out_by_seed():
    names = [NumberWords(subset).names for subset in SUBSETS]
    assert len(set().union(*names)) == sum(map(len, names)) == len(spelled_languages("Latn")) >= 40
    assert min(map(len, names)) >= 5
    assert names != [NumberWords(subset, seed=1).names for subset in SUBSETS]
    assert len(NumberWords("train", script=None)) > len(names[0])
    assert NumberWords("test", script="Cyrl", meta_test=["uk"]).names == ("uk",)


def test_no_number_of_a_test_part_is_learned_in_any_task():
    parts = {part: set() for part in SUBSETS}
    for subset in SUBSETS:
        tasks = NumberWords(subset, largest=99, train=20, val=10, test=10, tasks=60)
        assert len(tasks) == 60
        for place in (0, 1, 59):
            for part, found in parts.items():
                found |= set(shown(tasks[place], part))
    assert [len(found) for found in parts.values()][1:] == [10, 10]
    assert 20 < len(parts["train"]) <= 80
    assert not parts["train"] & (parts["val"] | parts["test"])
    assert not parts["val"] & parts["test"]


def test_more_tasks_than_languages_have_other_numbers():
    tasks = NumberWords(meta_test=["de"], tasks=3, largest=99, train=20, val=0, test=10)
    assert [task.id for task in tasks] == ["numberwords/test/de", "numberwords/test/de/1", "numberwords/test/de/2"]
    assert shown(tasks[0], "test") == shown(tasks[1], "test")
    assert set(shown(tasks[0], "train")) != set(shown(tasks[1], "train"))
    assert tasks[0].val is None
    with pytest.raises(IndexError):
        tasks[3]


def test_a_task_is_the_same_each_time():
    first, again, other = (NumberWords(seed=seed, meta_test=["en"])[0] for seed in (0, 0, 1))
    assert all(shown(first, part) == shown(again, part) for part in SUBSETS)
    assert set(shown(other, "test")) != set(shown(first, "test"))
    # The words as this release of the package spells them; the split is that of numpy's stable generator.
    words = json.dumps(sorted(shown(first, "test").items()))
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == "c16bcff675c6cf75"


def test_tasks_are_made_quickly():
    begin = time.process_time()
    task = NumberWords(seed=5)[0]
    assert len(task.train) == 300
    assert time.process_time() - begin < 4  # half a second on a machine that does nothing else


def test_letters_of_held_out_languages_are_known():
    for task in NumberWords(source="el", script=None):
        assert not any((labels == 1).any() for labels in (task.train.labels, task.test.labels, task.test.inputs))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"source": "english"}, "there is no source 'english': give 'digits' or a language's code"),
        ({"source": "digit"}, "there is no source 'digit': did you mean 'digits'"),
        ({"meta_test": ["deu"]}, r"NumberWords has no language 'deu' \(named in test\): did you mean 'de'\?"),
        ({"meta_test": ["en"], "source": "en"}, "has no language 'en'"),
        ({"script": "Latin"}, "no language is written in the script 'Latin': give a code of ISO 15924"),
        ({"largest": 10_000}, "largest = 10000 must be a whole number, from 9 to 9999"),
        ({"train": 900}, "train . val . test = 1100 numbers are more than the 1000 up to largest = 999"),
        ({"test": 0}, "test = 0 must be a whole number"),
        ({"tasks": 10**9}, "tasks = 1000000000 must be"),
        ({"fractions": (1, 1, 1)}, "must be at least 0 and sum to 1"),
        ({"preprocessing": Characters(characters="x"), "target_preprocessing": Characters(steps=1)}, "no train pairs"),
    ],
)
def test_wrong_arguments_are_told(options, told):
    with pytest.raises(ValueError, match=told) as caught:
        NumberWords(**options)[0]
    assert len(str(caught.value).splitlines()) == 1


def test_the_missing_package_is_told(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(packages, "import_module", absent)
    with pytest.raises(ValueError, match=r"NumberWords needs the package unicode_rbnf .*lit-metanas\[translation\]'"):
        NumberWords()
