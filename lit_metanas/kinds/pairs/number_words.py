"""The embedded tasks of translation: numbers spelled out in many languages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from lit_metanas.inputs.shapes import Shape
from lit_metanas.inputs.tokens import check_range
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import hint
from lit_metanas.kinds.pairs.text_pairs import Parts, Side, TextPair, translation_task
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.tasks.sampling import MOST_TASKS
from lit_metanas.tasks.source import Subset
from lit_metanas.tasks.splits import class_subsets
from lit_metanas.tasks.task import Task, TaskCollection

DIGITS = "digits"  # the source that numbers are given in, unless it is a language
LARGEST_SPELLED = 9_999  # up to this one, each language spells each number in a way of its own
_AMBIGUOUS = frozenset({"sl"})  # spells several of these numbers alike: 2000 as 3000 in Slovenian
_INVISIBLE = str.maketrans("", "", "\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}")


class NumberWords(TaskCollection):
    """Numbers to be spelled out, from digits or from the words of a language; each language that they become is a task.

    They are spelled by the rules of Unicode's Common Locale Data Repository (CLDR), which the package ``unicode-rbnf``
    holds: ``pip install 'lit-metanas[translation]'``. Languages are held out, as listed or drawn by a seed; a number of
    the val or test part is one to learn from in no task. All tasks share the vocabularies of the meta-train languages,
    with the letters of the others, so that the weights of one network start on each of them.

    Args:
        subset: which languages are the tasks: meta-train on ``train``, choose by ``val``, report on ``test``.
        source: ``digits``, or the code of the language to translate from.
        script: the script of the languages to translate to; None for all. Transfer is likelier within one script.
        largest: number, from 9 to 9999.
        tasks: how many; None makes one of each language, and more have other numbers to learn from.
        train: numbers to learn from.
        val: numbers to choose architectures by; 0 leaves tasks without a validation part.
        test: numbers to report the metric on.
        meta_val: codes of the meta-validation languages; with this or the next list, all others are for meta-training.
        meta_test: codes of the meta-test languages.
        fractions: shares of the languages in the three subsets, if no list is given.
        seed: of the draws of languages and numbers, at least 0.

    Raises:
        ValueError: there is no such language, an argument is out of its range, or a package is not installed.

    Example:
        >>> task = lm.kinds.NumberWords(meta_test=["de", "fr"])[0]
        >>> task.id, len(task.train), len(task.val), len(task.test)
        ('numberwords/test/de', 300, 100, 100)
        >>> task.preprocessing.show(task.test.inputs[:1]), task.objective.target.show(task.test.labels[:1])
        (['459'], ['vierhundertneunundfünfzig'])
    """

    def __init__(
        self,
        subset: Subset = "test",
        source: str = DIGITS,
        script: str | None = "Latn",
        largest: int = 999,
        tasks: int | None = None,
        train: int = 300,
        val: int = 100,
        test: int = 100,
        meta_val: list[str] | None = None,
        meta_test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        check_range("NumberWords", largest=(largest, 9, LARGEST_SPELLED))
        sizes = {"train": (train, 1, largest), "val": (val, 0, largest), "test": (test, 1, largest)}
        check_range("NumberWords", **sizes, tasks=(1 if tasks is None else tasks, 1, MOST_TASKS))
        if train + val + test > largest + 1:
            raise ValueError(
                f"NumberWords: train + val + test = {train + val + test} numbers are more than the {largest + 1} up to "
                f"largest = {largest}: ask for fewer, or raise it."
            )
        languages = [language for language in spelled_languages(script) if language != source]
        if source not in (known := [DIGITS, *spelled_languages(None)]):
            fix = hint(source, known, f"give '{DIGITS}' or a language's code, such as 'en'.")
            raise ValueError(f"NumberWords: there is no source '{source}': {fix}")
        lists: dict[Subset, Sequence[str] | None] = {"train": None, "val": meta_val, "test": meta_test}
        if meta_val is not None or meta_test is not None:
            held_out = {*(meta_val or ()), *(meta_test or ())}
            lists["train"] = [language for language in languages if language not in held_out]
        self._languages = class_subsets(
            languages,
            lists,
            fractions=fractions,
            seed=seed,
            owner="NumberWords",
            place="NumberWords",
            noun="language",
        )
        self.names = self._languages[subset]
        if not self.names or not self._languages["train"]:
            raise ValueError(f"NumberWords: there is no language in '{subset}', or none to meta-train on: name others.")
        spelled = own = Characters(steps=80 if largest < 1000 else 120)
        if source == DIGITS:
            own = Characters(steps=len(str(largest)))
        self.subset: Subset = subset
        self.source = source
        self.train = train
        self.seed = seed
        self._given = own, spelled
        self._number = tasks or len(self.names)
        order = np.random.default_rng(seed).permutation(largest + 1)
        self._test, self._val, self._rest = np.split(order, [test, test + val])
        # Up to a hundred, and round ones: all the words that numbers are made of.
        self._round = [n for n in range(largest + 1) if n <= 100 or n % 10 ** (len(str(n)) - 1) == 0]

    @cached_property
    def preprocessings(self) -> tuple[Characters, Characters]:
        """What makes inputs, and what makes targets, with their vocabularies."""
        source, target = self._given
        return source.fitted(self._counted("source")), target.fitted(self._counted("target"))

    def _counted(self, side: Side) -> Iterator[str]:
        """The texts of the meta-train tasks, and the letters of the others, which could not be written otherwise."""
        for name in self._languages["train"]:
            yield from (getattr(pair, side) for pair in self._pairs(name, self._round))
        for name in (*self._languages["val"], *self._languages["test"]):
            yield from sorted({letter for pair in self._pairs(name, self._round) for letter in getattr(pair, side)})

    @property
    def shape(self) -> Shape:
        """Of one input."""
        return self.preprocessings[0].shape

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self._number

    def __getitem__(self, index: int) -> Task:
        """Make one task."""
        if not 0 <= index < len(self):
            raise IndexError(f"task {index} of {len(self)}")
        draw, place = divmod(index, len(self.names))
        name = self.names[place]
        drawn = np.random.default_rng((self.seed, draw)).permutation(self._rest)[: self.train]
        parts: Parts = {
            "train": self._pairs(name, drawn.tolist()),
            "val": self._pairs(name, self._val.tolist()),
            "test": self._pairs(name, self._test.tolist()),
        }
        id = f"numberwords/{self.subset}/{name}" + f"/{draw}" * bool(draw)
        return translation_task(
            id,
            parts,
            *self.preprocessings,
            metric="chrF",
            place=f"numberwords/{name}",
            validated=len(self._val) > 0,
        )

    def _pairs(self, name: str, numbers: Sequence[int]) -> list[TextPair]:
        sources = map(str, numbers) if self.source == DIGITS else spell(numbers, self.source)
        return [TextPair(*pair) for pair in zip(sources, spell(numbers, name), strict=True)]


def script_of(language: str) -> str:
    """The script that a language is mostly written in, for instance ``Latn``."""
    likely = import_extra("babel.core", "translation", "NumberWords").get_global("likely_subtags")
    return str(likely.get(language, "_Zyyy")).split("_")[1]


def spelled_languages(script: str | None) -> list[str]:
    """The codes of the languages that numbers are spelled in."""
    engine = import_extra("unicode_rbnf", "translation", "NumberWords").RbnfEngine
    every = [code for code in engine.get_supported_languages() if "_" not in code and code not in _AMBIGUOUS]
    found = [code for code in every if script in (None, script_of(code))]
    if not found:
        raise ValueError(
            f"NumberWords: no language is written in the script '{script}': give a code of ISO 15924, such as 'Latn'."
        )
    return found


def spell(numbers: Sequence[int], language: str) -> list[str]:
    """Spell numbers out, as they are counted."""
    engine = _engine(language)
    found = (engine.format_number(number, ruleset_names=["spellout-numbering"]).text for number in numbers)
    return [text.translate(_INVISIBLE) for text in found]


@cache
def _engine(language: str) -> Any:
    return import_extra("unicode_rbnf", "translation", "NumberWords").RbnfEngine.for_language(language)
