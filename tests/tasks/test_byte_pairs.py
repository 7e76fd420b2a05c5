"""Byte pairs by number."""

import json
import os
import pickle

import pytest
import torch

from lit_metanas.inputs import TokenShape
from lit_metanas.inputs.shapes import PADDING
from lit_metanas.inputs.tokens import UNKNOWN
from lit_metanas.io import packages
from lit_metanas.kinds import BytePairs
from lit_metanas.kinds.texts.byte_pairs import SINGLE_BYTES

TEXTS = ["low lower lowest", "new newer newest", "slow slower", "Straße", "большой больше"]


@pytest.fixture(scope="module")
def pairs():
    return BytePairs(size=300, steps=12).fitted(TEXTS)


def test_the_pairs_that_stand_together_most_often_are_joined(pairs):
    assert BytePairs(size=258).fitted(["aab aab ab"]).merges == (("a", "b"), ("a", "ab"))
    assert pairs.shape == TokenShape(2 + len(pairs.pieces), 12)
    assert SINGLE_BYTES < len(pairs.pieces) <= 300
    assert len(BytePairs(size=258).fitted(TEXTS).pieces) == 258
    assert "lowest" not in {piece.removeprefix("Ġ") for piece in BytePairs(least=99).fitted(TEXTS).pieces}


def test_pieces_are_fewer_than_bytes(pairs):
    found = pairs.encode(["LOWER low", ""])
    assert found.shape == (2, 12)
    assert int((found[0] != PADDING).sum()) < len("lower low")
    assert found[1].tolist() == [UNKNOWN] + 11 * [PADDING]


@pytest.mark.parametrize("text", ["日本語", "\U0001f600", "größer", "\x00", "Ελλάς"])
def test_any_character_is_known(pairs, text):
    wide = BytePairs(size=300, steps=40, pieces=pairs.pieces, merges=pairs.merges)
    found = wide.encode([text])
    assert (found != UNKNOWN).all()
    assert wide.show(found) == [text.lower()]


def test_what_utf_8_has_no_bytes_for_is_no_error(pairs):
    assert pairs.show(pairs.encode(["a\ud800b"])) == ["a?b"]


def test_letters_that_are_composed_when_small_are_the_same_bytes(pairs):
    assert pairs.encode(["J\u030can"]).tolist() == pairs.encode(["\u01f0an"]).tolist()


def test_the_same_text_gives_the_same_pairs(pairs):
    assert all(BytePairs(size=300, steps=12).fitted(TEXTS) == pairs for _ in range(5))


def test_a_process_that_is_forked_later_is_not_warned(pairs, capfd):
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    BytePairs(size=300, steps=12).fitted(TEXTS).encode(TEXTS)
    assert os.environ.get("TOKENIZERS_PARALLELISM") == before
    child = os.fork()
    if not child:
        pairs.encode(TEXTS)
        os._exit(0)
    os.waitpid(child, 0)
    assert "forked" not in capfd.readouterr().err


def test_plain_values_give_the_same_back(pairs):
    again = BytePairs.from_plain(json.loads(json.dumps(pairs.to_plain())))
    assert again == pairs
    assert torch.equal(again.encode(TEXTS), pairs.encode(TEXTS))
    assert torch.equal(pickle.loads(pickle.dumps(pairs)).encode(TEXTS), pairs.encode(TEXTS))
    assert pairs.fitted(["other"]) is pairs


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": 255}, "size = 255 must be a whole number, from 256"),
        ({"steps": -1}, "steps = -1"),
        ({"pieces": ["a", "a"]}, "or one stands twice"),
        ({"pieces": ["a", ""]}, "a piece is no text"),
        ({"pieces": ["a", 3]}, "a piece is no text"),
        ({"pieces": None}, "has no list 'pieces'"),
        ({"merges": ["ab"]}, "are no lists of two texts"),
        ({"merges": [["a", 3]]}, "are no lists of two texts"),
        ({"merges": [["a", "b", "c"]]}, "is not a pair of pieces"),
        ({"merges": [["a", "c"]]}, "is not a pair of pieces"),
        ({"merges": [["b", "a"]]}, "is not a pair of pieces that makes a third one"),
    ],
)
def test_damaged_plain_values_are_told(change, told):
    plain = {"size": 256, "least": 2, "steps": 4, "pieces": ["a", "b", "ab"], "merges": [["a", "b"]]}
    assert BytePairs.from_plain(plain).encode(["abba"]).tolist() == [[4, 3, 2, 0]]
    with pytest.raises(ValueError, match=told):
        BytePairs.from_plain(plain | change)


def test_the_missing_package_is_told(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(packages, "import_module", absent)
    with pytest.raises(
        ValueError, match=r"BytePairs needs the package tokenizers .* pip install 'lit-metanas\[text\]'"
    ):
        BytePairs().fitted(TEXTS)
