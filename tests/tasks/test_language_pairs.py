"""Numbers, spelled out in many languages."""

import hashlib
import itertools
import json

import pytest
from shown_pairs import shown

from lit_metanas.inputs import TokenShape
from lit_metanas.kinds import NumberWords
from lit_metanas.kinds.pairs.number_words import SPELLED, spell, spelled_languages
from lit_metanas.tasks import check_task

pytest.importorskip("unicode_rbnf", reason="needs the extra translation")
pytest.importorskip("babel", reason="needs the extra translation")

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
EINER = ["null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"]
ZEHNER = ["zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
SUBSETS = ("train", "val", "test")
SMALL = {"train": 30, "val": 10, "test": 20}


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


def test_numbers_are_spelled_as_plain_loops_do():
    assert spell(range(1000), "en") == english()
    assert spell(range(1000), "de") == german()


def test_each_number_has_a_name_of_its_own_in_each_language():
    numbers = sorted({*range(200), *range(200, SPELLED, 97), *range(200, SPELLED, 100)})
    for language in spelled_languages():
        texts = spell(numbers, language)
        assert len(set(texts)) == len(numbers), language
        assert not any(letter.isdigit() or letter == "\u200b" for letter in "".join(texts)), language
        assert all(text == " ".join(text.split()) for text in texts), language


def test_a_task_is_digits_and_their_words():
    subset = next(subset for subset in SUBSETS if "de" in NumberWords(subset).names)
    tasks = NumberWords(subset)
    task = tasks[tasks.names.index("de")]
    check_task(task)
    assert task.id == f"numberwords/{subset}/de"
    parts = [dict(shown(task, part)) for part in SUBSETS]
    assert [len(part) for part in parts] == [300, 100, 100]
    assert len(set().union(*parts)) == 500
    words = german()
    assert all(words[int(digits)] == text for part in parts for digits, text in part.items())
    assert task.shape == tasks.shape == TokenShape(12, 3)
    assert task.objective.target.steps == 80
    # The words as this release of the package spells them; the split is that of numpy's stable generator.
    digits = sorted(int(digits) for digits in parts[2])
    assert hashlib.sha256(json.dumps(digits).encode()).hexdigest()[:16] == "600579bb64f57003"


def test_sources_of_a_test_part_are_learned_in_no_task():
    parts = {part: set() for part in SUBSETS}
    for subset in SUBSETS:
        tasks = NumberWords(subset, **SMALL, tasks=60)
        for place in (0, 59):
            task = tasks[place]
            assert [len(part) for part in (task.train, task.val, task.test)] == [30, 10, 20]
            for part, found in parts.items():
                found |= {source for source, _ in shown(task, part)}
    assert min(map(len, parts.values())) >= 10
    assert not any(parts[one] & parts[other] for one, other in (("train", "val"), ("train", "test"), ("val", "test")))


def test_languages_are_held_out_by_seed():
    names = [NumberWords(subset).names for subset in SUBSETS]
    assert sorted(itertools.chain(*names)) == sorted(spelled_languages())
    assert sum(map(len, names)) >= 40
    assert min(map(len, names)) >= 5
    assert names != [NumberWords(subset, seed=1).names for subset in SUBSETS]


def test_tasks_are_the_same_each_time_and_more_than_languages_have_other_pairs():
    number = len(NumberWords().names)
    tasks = NumberWords(**{**SMALL, "val": 0}, tasks=number + 1)
    assert tasks[number].id == f"{tasks[0].id}/1"
    assert shown(tasks[0], "train") == shown(NumberWords(**{**SMALL, "val": 0})[0], "train")
    assert set(shown(tasks[0], "train")) != set(shown(tasks[number], "train"))
    assert tasks[0].val is None
    assert len({(tasks[at].shape, tasks[at].way) for at in (0, 1, number)}) == 1  # so that a network may start on each
    with pytest.raises(IndexError):
        tasks[number + 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "train = 0 must be a whole number, from 1"),
        ({"train": 801}, "train \\+ val \\+ test = 1001 numbers are more than the 1000"),
        ({"tasks": 10**9}, "tasks = 1000000000 must be"),
    ],
)
def test_wrong_arguments_are_told(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        NumberWords(**options)[0]
    assert len(str(caught.value).splitlines()) == 1
