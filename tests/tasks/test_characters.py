"""Characters by number."""

import json
import pickle
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_metanas.inputs import TokenShape
from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import PADDING
from lit_metanas.inputs.tokens import UNKNOWN
from lit_metanas.kinds import Characters
from lit_metanas.objectives import Translation
from lit_metanas.spaces import EncoderDecoderSpace, SequenceSpace
from lit_metanas.training import export_child, load_exported

TEXTS = ["Straße", "a  big\tBanana", "большой", "日本語", "हिन्दी", "\U0001f600"]


def test_the_vocabulary_is_that_of_the_most_frequent_characters():
    counts = Counter("".join(TEXTS))
    made = Characters().fitted(TEXTS)
    assert sorted(made.characters) == sorted(counts)
    assert [counts[one] for one in made.characters] == sorted(counts.values(), reverse=True)
    assert made.characters[0] == "a"
    assert set(Characters(least=2).fitted(TEXTS).characters) == {one for one, count in counts.items() if count > 1}
    assert Characters(size=2).fitted(["ccbbaad"]).characters == "ab"  # equally frequent ones by their code
    assert made.shape == TokenShape(2 + len(counts), 64)
    assert made.fitted(["others"]) is made


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_shown_as_it_was(text):
    made = Characters().fitted(TEXTS)
    assert made.show(made.encode([text])) == [text]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4), st.text(max_size=12))
def test_any_text_is_shown_again_in_composed_letters(texts, other):
    made = Characters(steps=80, characters="ab").fitted(texts)
    known = Characters(steps=80).fitted([*texts, other, "x"])
    composed = [unicodedata.normalize("NFC", text) for text in (*texts, other)]
    assert known.show(known.encode([*texts, other])) == [text or "\N{REPLACEMENT CHARACTER}" for text in composed]
    assert made.token_lists([other]) == [["ab".find(one) + 2 for one in composed[-1]]]


def test_nothing_to_count_is_told():
    with pytest.raises(ValueError, match=r"none stands least = 3 times .* give meta-train classes"):
        Characters(least=3).fitted(["abba"])


def test_texts_are_padded_and_cut():
    found = Characters(steps=3).fitted(["aab"]).encode(["b", "abxab"])
    assert found.dtype == torch.int64
    assert found.tolist() == [[3, PADDING, PADDING], [2, 3, UNKNOWN]]


@pytest.mark.parametrize("text", ["", "   ", "unheard", "\U0001f600", "\x00", "\ud800", "ﷺ", "\u200b", "क़"])
def test_nothing_is_an_error_to_predict(text):
    found = Characters(characters="xyz").encode([text])
    assert set(found[0].tolist()) <= {PADDING, UNKNOWN}
    assert step_mask(found).sum() >= 1
    assert found[0, 0] == UNKNOWN


def test_what_cannot_be_written_is_not_of_the_vocabulary():
    made = Characters().fitted(["a\ud800b", "u\u0308"])
    assert set(made.characters) == {"a", "b", "ü"}
    json.dumps(made.to_plain(), ensure_ascii=False).encode()


def test_a_long_text_takes_no_long_time():
    assert Characters(steps=4, characters="x").encode(["x" * 50_000_000]).tolist() == [[2, 2, 2, 2]]


def test_what_is_no_text_is_refused():
    with pytest.raises(ValueError, match="An example is a int, not a text"):
        Characters(characters="x").encode(["x", 3])


def test_plain_values_give_the_same_back():
    made = Characters(size=99, least=1, steps=5).fitted(TEXTS)
    again = Characters.from_plain(json.loads(json.dumps(made.to_plain())))
    assert again == made
    assert torch.equal(again.encode(TEXTS), made.encode(TEXTS))
    assert torch.equal(pickle.loads(pickle.dumps(made)).encode(TEXTS), made.encode(TEXTS))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 0}, "steps = 0 must be a whole number, from 1 to"),
        ({"steps": 10**9}, "steps = 1000000000 must be"),
        ({"steps": True}, "steps = True"),
        ({"size": "9"}, "size = 9 must be a whole number"),
        ({"least": None}, "least = None"),
        ({"characters": ["a"]}, "has no text 'characters'"),
        ({"characters": None}, "has no text 'characters'"),
        ({"characters": "aba"}, "or one twice"),
        ({"characters": "abc", "size": 2}, "more than 2 characters"),
        ({"characters": "a\ud800"}, "is not a character in composed form"),
        ({"characters": "a\u0958"}, "is not a character in composed form"),
    ],
)
def test_damaged_plain_values_are_told(change, told):
    with pytest.raises(ValueError, match=told):
        Characters.from_plain({"size": 9, "least": 1, "steps": 5, "characters": "ab"} | change)
    with pytest.raises(ValueError, match="has no 'steps'"):
        Characters.from_plain({"size": 9, "least": 1, "characters": "ab"})
    with pytest.raises(ValueError, match="the vocabulary is no text"):
        Characters(characters=["a"])


def test_a_network_that_knows_very_many_characters_is_read_again(tmp_path):
    many = Characters(characters="".join(map(chr, range(0x4E00, 0x4E00 + 12_000))), size=12_000, steps=4)
    space = SequenceSpace(operations=("conv_3",), widths=(4,), depths=(1,), dropouts=(0.0,), readouts=("mean",))
    architecture = space.sample(torch.Generator().manual_seed(0))
    child = space.child(architecture, many.shape, 2)
    given = {"architecture": architecture, "classes": ("a", "b"), "shape": many.shape, "preprocessing": many}
    export_child(child, tmp_path, **given)
    assert load_exported(tmp_path).preprocessing == many


def test_characters_are_stored_with_an_exported_network(tmp_path):
    read, written = Characters(steps=4).fitted(["0123456789"]), Characters(steps=3).fitted(["größe"])
    encoder = SequenceSpace(operations=("gru",), widths=(4,), depths=(1,), dropouts=(0.0,), readouts=("each",))
    space = EncoderDecoderSpace(encoder, decoders=("gru",), decoder_depths=(1,), heads=2, target_steps=3)
    objective = Translation(written)
    architecture = space.sample(torch.Generator().manual_seed(0))
    child = space.child(architecture, read.shape, objective.outputs)
    export_child(
        child,
        tmp_path,
        architecture=architecture,
        classes=(),
        shape=read.shape,
        preprocessing=read,
        objective=objective,
    )
    found = load_exported(tmp_path)
    assert (found.preprocessing, found.objective) == (read, objective)
    inputs = read.encode(["42", "?"])
    torch.testing.assert_close(found.network(inputs), child.eval()(inputs), atol=1e-5, rtol=1e-5)
    assert all(set(text) <= {*"größe", "\N{REPLACEMENT CHARACTER}"} for text in found.show(["42", "?"]))
    file = Path(tmp_path, "model.json")
    plain = json.loads(file.read_text(encoding="utf-8"))
    for change, told in (
        ({"characters": ["4"]}, "has no text 'characters'"),
        ({"characters": "44"}, "or one twice"),
        ({"steps": 10**12}, "steps = 1000000000000 must be"),
    ):
        for place in ("input", "target"):
            damaged = json.loads(json.dumps(plain))
            held = damaged["input"]["preprocessing"] if place == "input" else damaged["objective"]["target"]
            held.update(change)
            file.write_text(json.dumps(damaged), encoding="utf-8")
            with pytest.raises(ValueError, match=f"{told}.*export again") as caught:
                load_exported(tmp_path)
            assert len(str(caught.value).splitlines()) == 1
