"""Numbers spelled out in many languages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from lit_metanas.inputs.tokens import TextPreprocessing, check_range
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.pairs.pair_tasks import PairTasks, check_source_language
from lit_metanas.kinds.pairs.text_pairs import Parts, TextPair
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.objectives.translation import TextMetric
from lit_metanas.tasks.sampling import MOST_TASKS
from lit_metanas.tasks.source import Subset

DIGITS = "digits"  # the source that numbers are given in, unless it is a language
LARGEST_SPELLED = 9_999  # up to this one, each language spells each number in a way of its own
_AMBIGUOUS = frozenset({"sl"})  # spells several of these numbers alike: 2000 as 3000 in Slovenian
_INVISIBLE = str.maketrans("", "", "\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}")


class NumberWords(PairTasks):
    """Numbers to be spelled out, from digits or from the words of a language; each language that they become is a task.

    They are spelled by the rules of Unicode's Common Locale Data Repository (CLDR), which the package ``unicode-rbnf``
    holds: ``pip install 'lit-metanas[translation]'``. Languages are held out, as listed or drawn by a seed; a number of
    the val or test part is one to learn from in no task.

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
        preprocessing: makes inputs of sources; see ``ParallelTable``.
        target_preprocessing: makes targets.
        metric: what tasks are judged by; see ``Translation``.

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
        preprocessing: TextPreprocessing | None = None,
        target_preprocessing: TextPreprocessing | None = None,
        metric: TextMetric = "chrF",
    ) -> None:
        check_range("NumberWords", largest=(largest, 9, LARGEST_SPELLED))
        sizes = {"train": (train, 1, largest), "val": (val, 0, largest), "test": (test, 1, largest)}
        check_range("NumberWords", **sizes, tasks=(1 if tasks is None else tasks, 1, MOST_TASKS))
        if train + val + test > largest + 1:
            raise ValueError(
                f"NumberWords: train + val + test = {train + val + test} numbers are more than the {largest + 1} up to "
                f"largest = {largest}: ask for fewer, or raise it."
            )
        languages = spelled_languages(script)
        fix = f"give '{DIGITS}' or a language's code, such as 'en'."
        check_source_language("NumberWords", source, [DIGITS, *spelled_languages(None)], fix)
        longest = own = Characters(steps=80 if largest < 1000 else 120)
        if source == DIGITS:
            own = Characters(steps=len(str(largest)))
        super().__init__(
            [language for language in languages if language != source],
            subset,
            preprocessing or own,
            target_preprocessing or longest,
            metric,
            meta_val=meta_val,
            meta_test=meta_test,
            fractions=fractions,
            seed=seed,
            noun="language",
            validated=val > 0,
            tasks=tasks,
        )
        self.source = source
        self.train = train
        order = np.random.default_rng(seed).permutation(largest + 1)
        self._test, self._val, self._rest = np.split(order, [test, test + val])
        self._seed = seed
        self._round = [n for n in range(largest + 1) if n <= 100 or n % 10 ** (len(str(n)) - 1) == 0]

    def learned(self, name: str) -> list[TextPair]:
        """The numbers up to a hundred, and round ones: all the words that numbers are made of."""
        return self._pairs(name, self._round)

    def parts(self, name: str, draw: int) -> Parts:
        """The numbers of a language; those of val and test are the same in all tasks."""
        drawn = np.random.default_rng((self._seed, draw)).permutation(self._rest)[: self.train]
        return {
            "train": self._pairs(name, drawn.tolist()),
            "val": self._pairs(name, self._val.tolist()),
            "test": self._pairs(name, self._test.tolist()),
        }

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
