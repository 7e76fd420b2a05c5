"""Phrases of many languages."""

import time
from collections import Counter

import pytest

from lit_metanas.kinds import Phrases
from lit_metanas.kinds.texts import phrases
from lit_metanas.kinds.texts.phrases import phrases_of
from lit_metanas.tasks import check_task, draw_episode

SUBSETS = ("train", "val", "test")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    made = Phrases(cache=str(tmp_path_factory.mktemp("cache")))
    begin = time.process_time()
    made.prepare()
    assert time.process_time() - begin < 15  # about 2 s on a machine that does nothing else
    return made


def test_languages_are_held_out(source):
    classes = [source.classes(subset) for subset in SUBSETS]
    assert len(set().union(*classes)) == sum(map(len, classes)) > 100
    assert min(map(len, classes)) >= 10
    assert {"en", "fr", "it", "zh"} <= set(classes[0])
    assert "no" not in set().union(*classes)  # another code for Norwegian, `nb`
    assert source.groups("train")[classes[0].index("sr")] == "Cyrl"
    assert len(set(source.groups("test"))) >= 5


def test_no_phrase_is_of_two_languages(source):
    counts = Counter(text.casefold() for s in SUBSETS for texts in source.sentences(s).values() for text in texts)
    assert counts.most_common(1)[0][1] == 1
    assert all(len(texts) >= phrases.KEPT for subset in SUBSETS for texts in source.sentences(subset).values())


def test_phrases_are_of_their_language():
    made = phrases_of("de", 96)
    assert made == phrases_of("de", 96)
    assert len(made) > 90
    assert any(text.startswith("vor ") for text in made)
    assert any(" und " in text for text in made)
    assert any(month in text for text in made for month in ("Januar", "August", "Dezember"))
    assert not set(made) & set(phrases_of("en", 96))


def test_episodes_have_no_unknown_piece(source):
    episode = draw_episode(source, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=5)
    check_task(episode)
    assert not (episode.query.inputs == 1).any()
    shown = source.preprocessing.show(episode.query.inputs[:1])
    assert shown[0] in {text.lower() for text in source.sentences("test")[episode.classes[0]]}
