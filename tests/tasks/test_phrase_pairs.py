"""Phrases that two languages write for the same thing."""

import calendar
import datetime
import time
from itertools import pairwise

import pytest

from lit_metanas.io import packages
from lit_metanas.kinds import PhrasePairs
from lit_metanas.kinds.pairs.phrase_pairs import LONGEST_PHRASE
from lit_metanas.kinds.texts.phrases import languages
from lit_metanas.tasks import check_task

babel = pytest.importorskip("babel", reason="needs the extra translation")

MONATE = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
    "Dezember",
)  # fmt: skip
TAGE = ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag")
SUBSETS = ("train", "val", "test")
SMALL = {"train": 30, "val": 10, "test": 20}


def shown(task, part):
    split = getattr(task, part)
    sources = task.preprocessing.show(split.inputs)
    return list(zip(sources, task.goal.target.show(split.labels), strict=True))


def pairs_of(language, **options):
    task = PhrasePairs(meta_test=[language], **SMALL, **options)[0]
    check_task(task)
    return [pair for part in SUBSETS for pair in shown(task, part)]


def test_dates_are_those_of_the_calendar():
    months, monate = list(calendar.month_name)[1:], list(MONATE)
    days = dict(zip(calendar.day_name, TAGE, strict=True))
    found = pairs_of("de", kinds=["date"])
    for english, german in found:
        *weekday, month_day, year = english.split(", ")
        month, day = month_day.split()
        number = months.index(month)
        said = f"{day}. {monate[number]} {year}"
        assert german == (f"{days[weekday[0]]}, {said}" if weekday else said)
        if weekday:
            assert list(days)[datetime.date(int(year), number + 1, int(day)).weekday()] == weekday[0]


def test_countries_are_those_of_the_territories():
    names = [babel.Locale(code).territories for code in ("en", "nl")]
    known = {str(names[0][code]): str(names[1][code]) for code in names[0] if code in names[1]}
    for english, dutch in pairs_of("nl", kinds=["countries"]):
        for code, name in known.items():
            if english == f"{code}" or english.startswith((f"{code}, ", f"{code} and ")):
                assert dutch.startswith(name)
                break
        else:
            raise AssertionError(english)


@pytest.mark.parametrize("kind", ["duration", "measures", "languages", "calendar"])
def test_each_kind_is_written_in_both_languages(kind):
    found = pairs_of("fr", kinds=[kind])
    assert len(found) == 60
    assert sum(english != french for english, french in found) > 50
    if kind in ("duration", "measures"):
        digits = [[sorted(filter(str.isdigit, text)) for text in pair] for pair in found]
        assert sum(one == other for one, other in digits) > 50  # 1 may be a word


def test_sources_of_a_test_part_are_learned_in_no_task():
    parts = {part: set() for part in SUBSETS}
    for subset in SUBSETS:
        tasks = PhrasePairs(subset, **SMALL, tasks=99)
        for place in (0, 98):
            task = tasks[place]
            assert [len(part) for part in (task.train, task.val, task.test)] == [30, 10, 20]
            sources = [source for part in SUBSETS for source, _ in shown(task, part)]
            assert len({source.casefold() for source in sources}) == 60
            for part, found in parts.items():
                found |= {source for source, _ in shown(task, part)}
    assert min(map(len, parts.values())) >= 10
    assert not any(parts[one] & parts[other] for one, other in (("train", "val"), ("train", "test"), ("val", "test")))


def test_languages_are_held_out_by_seed_or_list():
    names = [PhrasePairs(subset).names for subset in SUBSETS]
    assert len(set().union(*names)) == sum(map(len, names)) == len(languages("Latn")) - 1 >= 60
    assert "en" not in set().union(*names)
    assert names != [PhrasePairs(subset, seed=1).names for subset in SUBSETS]
    assert PhrasePairs(source="fr", meta_test=["en", "de"]).names == ("en", "de")
    assert PhrasePairs(script="Cyrl", meta_test=["ru"]).names == ("ru",)


def test_tasks_are_the_same_each_time_and_no_phrase_is_longer_than_inputs_hold():
    tasks = [*PhrasePairs(meta_test=["de", "nl"], **SMALL, tasks=3)]
    assert [task.id for task in tasks] == [f"phrasepairs/test/{name}" for name in ("de", "nl", "de/1")]
    assert shown(tasks[0], "train") == shown(PhrasePairs(meta_test=["de"], **SMALL)[0], "train")
    assert shown(tasks[0], "train") != shown(tasks[2], "train")
    assert len({(task.shape, task.way) for task in tasks}) == 1
    for task in tasks:
        texts = [text for part in SUBSETS for pair in shown(task, part) for text in pair]
        assert max(map(len, texts)) <= LONGEST_PHRASE
        assert all(text == " ".join(text.split()) for text in texts)


def test_letters_of_held_out_languages_are_known():
    tasks = PhrasePairs(**SMALL)
    labels = [labels for task in tasks for labels in (task.train.labels, task.test.labels, task.test.inputs)]
    unknown, whole = (sum(int(found(each).sum()) for each in labels) for found in (lambda x: x == 1, lambda x: x > 0))
    assert unknown / whole < 1e-4


def test_tasks_are_made_quickly():
    begins = [time.process_time()]
    tasks = PhrasePairs(seed=5)
    for place in (0, 1):
        assert len(tasks[place].train) == 300
        begins.append(time.process_time())
    first, second = (after - before for before, after in pairwise(begins))
    assert first < 6  # a second on a machine that does nothing else
    assert second < 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"source": "eng"}, "there is no source 'eng': did you mean 'en'"),
        ({"meta_test": ["deu"]}, r"PhrasePairs has no language 'deu' \(named in test\): did you mean 'eu'\?"),
        ({"script": "Latin"}, "no language is written in the script 'Latin': give a code of ISO 15924"),
        ({"kinds": ["dates"]}, r"kinds = \['dates'\] must be some of date, duration"),
        ({"kinds": []}, "must be some of date"),
        ({"kinds": ["duration"], "train": 2_000}, "too few phrases of the kinds duration for 2200 pairs"),
        ({"train": 0}, "train = 0 must be a whole number, from 1"),
    ],
)
def test_wrong_arguments_are_told(options, told):
    with pytest.raises(ValueError, match=told) as caught:
        PhrasePairs(**options)[0]
    assert len(str(caught.value).splitlines()) == 1


def test_the_missing_package_is_told(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(packages, "import_module", absent)
    with pytest.raises(ValueError, match=r"PhrasePairs needs the package babel .* 'lit-metanas\[translation\]'"):
        PhrasePairs()
