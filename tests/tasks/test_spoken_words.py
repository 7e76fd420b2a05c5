"""Made-up words: their phones, their synthesis, and the source of tasks."""

import numpy as np
import pytest
import torch

from lit_metanas.kinds import SpokenWords
from lit_metanas.kinds.sounds import spoken_words
from lit_metanas.kinds.sounds.spoken_words import HELD_OUT_SPEAKERS, SPEAKERS, make_words
from lit_metanas.kinds.sounds.synthesis import PHONES, draw_voice, speak
from lit_metanas.tasks.source import SUBSETS


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> SpokenWords:
    source = SpokenWords(cache=str(tmp_path_factory.mktemp("words")), words=(3, 2, 3), pool=4)
    source.prepare()
    return source


def spoken(seed: int, shortest: float = 0.3, longest: float = 0.8) -> np.ndarray:
    voice = draw_voice(np.random.default_rng(seed))
    return speak(["b", "a", "n", "i"], voice, np.random.default_rng((seed, 1)), shortest, longest)


def distance(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """Levenshtein's."""
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (one != other))
    return row[-1]


def test_words_differ_in_two_phones_and_in_spelling():
    made = make_words(150, seed=3)
    assert min(distance(a, b) for i, a in enumerate(made) for b in made[:i]) == 2
    assert len({"".join(word) for word in made}) == 150
    assert made[:20] == make_words(20, seed=3)
    assert made[:20] != make_words(20, seed=4)
    assert {name for word in make_words(400, seed=0) for name in word} == PHONES.keys()


def test_sounds_last_as_long_as_asked_for_and_are_in_range():
    sounds = [spoken(seed) for seed in range(20)]
    assert all(0.3 <= len(sound) / 8000 <= 0.9 for sound in sounds)
    assert all(np.isfinite(sound).all() and 0.03 < np.abs(sound).max() < 1 for sound in sounds)
    assert 2.0 <= len(spoken(0, shortest=2.0, longest=2.0)) / 8000 <= 2.1


def test_subsets_have_their_words(words):
    names = [words.classes(subset) for subset in SUBSETS]
    assert [len(each) for each in names] == [3, 2, 3]
    assert len({name for each in names for name in each}) == 8
    assert (words.instances("test", 0), words.instances("test", 0, held_out=True)) == (200, 100)
    assert words.episode_instances("test", 0) == 4
    with pytest.raises(IndexError):
        words.inputs("val", 2, [0])


def test_held_out_speakers_say_nothing_else(words, monkeypatch):
    heard = []
    monkeypatch.setattr(spoken_words, "speak", lambda _, voice, *others: heard.append(voice.breath) or np.zeros(1))
    for held_out in (False, True):
        for word in range(3):
            words.sounds("test", word, range(200), held_out=held_out)
    ordinary, reserved = {*heard[:600]}, {*heard[600:]}
    assert (len(ordinary), len(reserved)) == (SPEAKERS, HELD_OUT_SPEAKERS)
    assert not ordinary & reserved


def test_an_example_depends_on_word_number_and_seed_only(words, tmp_path):
    whole = words.inputs("test", 1, range(25))
    assert torch.equal(words.inputs("test", 1, [22, 4, 12]), whole[[22, 4, 12]])
    fresh = SpokenWords(cache=str(tmp_path), words=(3, 2, 3), pool=1)
    assert torch.equal(fresh.inputs("test", 1, [22]), whole[[22]])
    assert len({example.numpy().tobytes() for example in whole}) == 25
    assert not torch.equal(words.inputs("test", 1, [22], held_out=True), whole[[22]])
    other = SpokenWords(cache=str(tmp_path), words=(3, 2, 3), pool=1, seed=1)
    assert not torch.equal(other.inputs("test", 1, [22]), whole[[22]])
    assert (words.inputs("test", 1, []).shape, whole.dtype) == ((0, 41, 100), torch.float32)


def test_a_damaged_cache_file_is_made_again(words, tmp_path):
    source = lambda: SpokenWords(cache=str(tmp_path), words=(1, 0, 1), pool=2)  # noqa: E731
    first = source()
    want = first.inputs("test", 0, [0, 1])
    intact = first.cache_file.read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {first.cache_file.name}
    middle = len(intact) // 2
    for damaged in (b"", intact[:middle], intact[:middle] + bytes([intact[middle] ^ 255]) + intact[middle + 1 :]):
        first.cache_file.write_bytes(damaged)
        assert torch.equal(source().inputs("test", 0, [0, 1]), want)
        assert first.cache_file.stat().st_size == len(intact)
    for arrays in (
        {"examples": np.zeros((2, 2, 41, 99), np.float16)},
        {"examples": np.zeros((2, 2, 41, 100), np.float32)},
        {"examples": np.array(["text"])},
        {"series": np.zeros(3)},
    ):
        np.savez(first.cache_file, **arrays)
        assert torch.equal(source().inputs("test", 0, [0, 1]), want)
