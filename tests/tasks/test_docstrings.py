"""Sentences of docstrings, read from sources."""

import importlib.util
import os
import re
import sys
import time

import pytest

from lit_metanas.kinds import Docstrings
from lit_metanas.kinds.texts import text_source
from lit_metanas.kinds.texts.text_source import sentences_of

SUBSETS = ("train", "val", "test")


@pytest.fixture(scope="module")
def source():
    made = Docstrings()
    begin = time.process_time()
    made.prepare()
    assert time.process_time() - begin < 15  # about 2 s on a machine that does nothing else
    return made


def test_there_are_many_sentences_of_many_classes(source):
    sentences = [text for subset in SUBSETS for texts in source.sentences(subset).values() for text in texts]
    assert len(sentences) > 3500
    assert len(set(sentences)) == len(sentences)
    counts = [len(source.classes(subset)) for subset in SUBSETS]
    assert sum(counts) >= 40
    assert min(counts) >= 5
    assert all(6 <= len(text.split()) <= 40 for text in sentences)
    assert all(text_source.LEAST <= len(x) <= text_source.MOST for s in SUBSETS for x in source.sentences(s).values())


def test_no_sentence_tells_its_module(source):
    for subset in SUBSETS:
        for name, texts in source.sentences(subset).items():
            parts = [part.strip("_0123456789") for part in name.lower().split(".")]
            told = re.compile("|".join(rf"\b{part}s?\b" for part in parts))
            assert not [text for text in texts if told.search(text.lower())], name


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Return ``None`` or `x` for :class:`Thing` of 'utf-8'.", "Return _ or _ for _ of '_'."),
        ("Call os.path.join(a, b) on some_value and CamelCase.", "Call _, b) on _ and _."),
        ("Parse an email message, emails or e-mail of an EmailMessage.", "Parse an _ message, _ or e-mail of an _."),
        ("Wrap the torch Tensor by numpy's arrays.", "Wrap the _ Tensor by _ arrays."),
        ("Plain words stay, e.g. these (really).", "Plain words stay, e.g. these (really)."),
    ],
)
def test_names_of_code_are_masked(text, masked):
    assert text_source.mask_names(text, text_source._words_of(("email", "utils"))) == masked
    names = text_source._words_of(("matplotlib", "backends", "ftplib", "mpl_toolkits"))
    assert text_source.mask_names("The backend and all toolkits know Ftp", names) == "The _ and all _ know _"


def test_only_the_first_sentence_of_prose_is_taken(tmp_path, monkeypatch):
    (tmp_path / "shop" / "tests").mkdir(parents=True)
    (tmp_path / "shop" / "goods.py").write_text(
        '"""Everything that we sell to people. Not told: this."""\n'
        "raise RuntimeError('imported')\n"
        "class Thing:\n    '''One thing that can be\n    bought by many people today.\n\n    Not told, too.'''\n"
        "    if True:\n        def price(self):\n            'The number of coins for it, e.g. seven or nine.'\n"
        "def short():\n    'Too short.'\n"
        "def code():\n    'x_1 = f(x_0) >>> 3.5 which is -> None.'\n"
        "def twice():\n    'Everything that we sell to people.'\n"
    )
    (tmp_path / "shop" / "broken.py").write_text("def (:")
    (tmp_path / "shop" / "latin.py").write_bytes(b'"""Not \xff in any encoding that is known."""')
    (tmp_path / "shop" / "tests" / "test_goods.py").write_text('"""Nobody wants to read what a test says."""')
    os.mkfifo(tmp_path / "shop" / "pipe.py")
    (tmp_path / "shop" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert sentences_of("shop", frozenset(), 9) == [
        "Everything that we sell to people.",
        "One thing that can be bought by many people today.",
        "The number of coins for it, e.g. seven or nine.",
    ]
    assert len(sentences_of("shop", frozenset(), 2)) == 2
    assert sentences_of("shop", frozenset({"shop.goods"}), 9) == []
    assert sentences_of("absent", frozenset(), 9) == []


def test_sources_are_not_imported(source):
    assert "mailbox" in source.classes("test")
    for name in ("tkinter", "turtle"):  # not every Python has them
        assert (name in source.classes("test")) == (importlib.util.find_spec(name) is not None)
        assert name not in sys.modules
