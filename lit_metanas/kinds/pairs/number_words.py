"""The embedded tasks of translation: numbers spelled out in many languages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from lit_metanas.inputs.preprocessing import check_range
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.pairs.parallel_texts import TextPair, translation_task
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.tasks.sampling import MOST_TASKS
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.splits import class_subsets
from lit_metanas.tasks.task import Task, TaskCollection

SPELLED = 1_000  # numbers from 0 on
_AMBIGUOUS = frozenset({"sl"})  # spells several numbers alike: 2000 as 3000 in Slovenian
_INVISIBLE = str.maketrans("", "", "\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}")


class NumberWords(TaskCollection):
    """Numbers below a thousand to be spelled out; each language with Latin letters is a task.

    They are spelled by the rules of Unicode's Common Locale Data Repository (CLDR), which the package ``unicode-rbnf``
    holds: ``pip install 'lit-metanas[translation]'``. A seed holds languages out: 16 % for meta-validation, 20 % for
    meta-test. A number of the val or test part is one to learn from in no task. All tasks share the vocabularies of the
    meta-train languages, with the letters of the others, so that the weights of one network start on each of them.

    Args:
        subset: which languages are the tasks: meta-train on ``train``, choose by ``val``, report on ``test``.
        tasks: how many; None makes one of each language, and more have other numbers to learn from.
        train: numbers to learn from.
        val: numbers to choose architectures by; 0 leaves tasks without a validation part.
        test: numbers to report the metric on.
        seed: of the draws of languages and numbers, at least 0.

    Raises:
        ValueError: an argument is out of its range, or a package is not installed.

    Example:
        >>> task = lm.kinds.NumberWords()[0]
        >>> task.id, len(task.train), len(task.val), len(task.test)
        ('numberwords/test/cs', 300, 100, 100)
        >>> task.preprocessing.show(task.test.inputs[:1]), task.objective.target.show(task.test.labels[:1])
        (['459'], ['čtyři sta padesát devět'])
    """

    def __init__(
        self,
        subset: Subset = "test",
        tasks: int | None = None,
        train: int = 300,
        val: int = 100,
        test: int = 100,
        seed: int = 0,
    ) -> None:
        sizes = {"train": (train, 1, SPELLED), "val": (val, 0, SPELLED), "test": (test, 1, SPELLED)}
        check_range("NumberWords", **sizes, tasks=(1 if tasks is None else tasks, 1, MOST_TASKS))
        if train + val + test > SPELLED:
            raise ValueError(
                f"NumberWords: train + val + test = {train + val + test} numbers are more than the {SPELLED} that "
                "there are: ask for fewer."
            )
        self._languages = class_subsets(
            spelled_languages(),
            dict.fromkeys(SUBSETS),
            fractions=(0.64, 0.16, 0.2),
            seed=seed,
            owner="NumberWords",
            place="NumberWords",
        )
        self.names = self._languages[subset]
        self.subset: Subset = subset
        self.train = train
        self.seed = seed
        self._number = tasks or len(self.names)
        numbers = np.random.default_rng(seed).permutation(SPELLED)
        # The test part comes first, so that it does not depend on the sizes of the others.
        self._test, self._val, self._rest = np.split(numbers, [test, test + val])

    @cached_property
    def preprocessings(self) -> tuple[Characters, Characters]:
        """What makes inputs, and what makes targets, with their vocabularies."""
        pairs = list(self._counted())
        source = Characters(steps=len(str(SPELLED - 1))).fitted(pair.source for pair in pairs)
        return source, Characters(steps=80).fitted(pair.target for pair in pairs)

    def _counted(self) -> Iterator[TextPair]:
        """The texts of the meta-train tasks, and the letters of the others, which could not be written otherwise."""
        # Up to a hundred, and round ones: all the words that numbers are made of.
        numbers = [*range(101), *range(200, SPELLED, 100)]
        for name in self._languages["train"]:
            yield from self._pairs(name, numbers)
        for name in (*self._languages["val"], *self._languages["test"]):
            pairs = self._pairs(name, numbers)
            yield from (TextPair("", letter) for letter in sorted({letter for _, text in pairs for letter in text}))

    @property
    def shape(self) -> Shape:
        """Of one input."""
        return self.preprocessings[0].shape

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: int) -> Task:
        if not 0 <= index < len(self):
            raise IndexError(f"task {index} of {len(self)}")
        draw, place = divmod(index, len(self.names))
        name = self.names[place]
        drawn = np.random.default_rng((self.seed, draw)).permutation(self._rest)[: self.train]
        return translation_task(
            f"numberwords/{self.subset}/{name}" + f"/{draw}" * bool(draw),
            {
                "train": self._pairs(name, drawn.tolist()),
                "val": self._pairs(name, self._val.tolist()),
                "test": self._pairs(name, self._test.tolist()),
            },
            *self.preprocessings,
            metric="chrF",
            place=f"numberwords/{name}",
        )

    def _pairs(self, name: str, numbers: Sequence[int]) -> list[TextPair]:
        return [TextPair(*pair) for pair in zip(map(str, numbers), spell(numbers, name), strict=True)]


def spelled_languages() -> list[str]:
    """The codes of the languages with Latin letters that numbers are spelled in."""
    engine = import_extra("unicode_rbnf", "translation", "NumberWords").RbnfEngine
    likely = import_extra("babel.core", "translation", "NumberWords").get_global("likely_subtags")
    every = [code for code in engine.get_supported_languages() if "_" not in code and code not in _AMBIGUOUS]
    return [code for code in every if str(likely.get(code, "_Zyyy")).split("_")[1] == "Latn"]


def spell(numbers: Sequence[int], language: str) -> list[str]:
    """Spell numbers out, as they are counted."""
    spelled = partial(_engine(language).format_number, ruleset_names=["spellout-numbering"])
    return [spelled(number).text.translate(_INVISIBLE) for number in numbers]


@cache
def _engine(language: str) -> Any:
    return import_extra("unicode_rbnf", "translation", "NumberWords").RbnfEngine.for_language(language)
