"""Phrases that two languages write for the same thing."""

from __future__ import annotations

import numpy as np

from lit_metanas.inputs.tokens import TextPreprocessing, check_range
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.pairs.pair_tasks import PairTasks, check_source_language
from lit_metanas.kinds.pairs.text_pairs import Parts, TextPair, TextShares
from lit_metanas.kinds.texts.labelled_text import text_key
from lit_metanas.kinds.texts.phrases import (
    PHRASE_KINDS,
    PhraseDraw,
    PhraseKind,
    PhraseWriter,
    languages,
)
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.objectives.translation import TextMetric
from lit_metanas.tasks.sampling import MOST_TASKS
from lit_metanas.tasks.source import SUBSETS, Subset

LONGEST_PHRASE = 80  # characters; of a hundred phrases less than one is longer, and is left out
MOST_PHRASES = 20_000  # of a part
_LEARNED = 36  # phrases of each meta-train language that vocabularies are counted on
_IN_VAIN = 2_000  # phrases that are drawn without a new one at most


class PhrasePairs(PairTasks):
    """Dates, durations, measures and lists of countries, languages, days and months, from one language to another.

    Both are made from the same entries of Unicode's Common Locale Data Repository (CLDR), which the package ``babel``
    holds, so that each pair is exact: ``pip install 'lit-metanas[translation]'``. Each language is a task. Languages
    are held out, as listed or drawn by a seed, and a phrase of the val or test part is one to learn from in no task.

    Args:
        subset: which languages are the tasks: meta-train on ``train``, choose by ``val``, report on ``test``.
        source: the code of the language to translate from.
        script: the script of the languages to translate to; None for all. See ``NumberWords``.
        kinds: some of ``date``, ``duration``, ``countries``, ``measures``, ``languages`` and ``calendar``; None is all.
        tasks: how many; None makes one of each language, and more have other phrases.
        train: phrases to learn from.
        val: phrases to choose architectures by; 0 leaves tasks without a validation part.
        test: phrases to report the metric on.
        meta_val: codes of the meta-validation languages; with this or the next list, all others are for meta-training.
        meta_test: codes of the meta-test languages.
        fractions: shares of the languages in the three subsets, if no list is given.
        seed: of the draws of languages and phrases, at least 0.
        preprocessing: makes inputs of sources; None takes ``Characters(steps=80)``. See ``ParallelTable``.
        target_preprocessing: makes targets.
        metric: what tasks are judged by; see ``Translation``.

    Raises:
        ValueError: there is no such language, an argument is out of its range, or a package is not installed.

    Example:
        >>> import lit_metanas as lm
        >>> task = lm.kinds.PhrasePairs(kinds=["date"], meta_test=["de"], train=20, val=10, test=10)[0]
        >>> task.id, len(task.train), len(task.val), len(task.test), task.shape.steps
        ('phrasepairs/test/de', 20, 10, 10, 80)
        >>> task.preprocessing.show(task.test.inputs[:1]), task.objective.target.show(task.test.labels[:1])
        (['December 7, 2024'], ['7. Dezember 2024'])
    """

    def __init__(
        self,
        subset: Subset = "test",
        source: str = "en",
        script: str | None = "Latn",
        kinds: list[PhraseKind] | None = None,
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
        import_extra("babel", "translation", "PhrasePairs")
        sizes = {"train": (train, 1, MOST_PHRASES), "val": (val, 0, MOST_PHRASES), "test": (test, 1, MOST_PHRASES)}
        check_range("PhrasePairs", **sizes, tasks=(1 if tasks is None else tasks, 1, MOST_TASKS))
        self.kinds: list[PhraseKind] = list(PHRASE_KINDS) if kinds is None else kinds
        if not self.kinds or not {*self.kinds} <= {*PHRASE_KINDS}:
            raise ValueError(f"PhrasePairs: kinds = {self.kinds} must be some of {', '.join(PHRASE_KINDS)}.")
        known = languages(script)
        if not known:
            raise ValueError(
                f"PhrasePairs: no language is written in the script '{script}': give a code of ISO 15924, such as "
                "'Latn'."
            )
        if source not in known:
            check_source_language("PhrasePairs", source, languages(), "give a language's code, such as 'en'.")
        super().__init__(
            [language for language in known if language != source],
            subset,
            preprocessing or Characters(steps=LONGEST_PHRASE),
            target_preprocessing or Characters(steps=LONGEST_PHRASE),
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
        self._sizes: dict[Subset, int] = {"train": train, "val": val, "test": test}
        # A part that is much smaller than the others would wait long for its phrases.
        shares = [max(size, 0.05 * (train + val + test)) for size in (train, val, test)]
        learned, validated, tested = (share / sum(shares) for share in shares)
        self._shares = TextShares("PhrasePairs", learned, validated, tested, seed)
        self._seed = seed

    def parts(self, name: str, draw: int) -> Parts:
        """The phrases of a language."""
        return self._drawn(name, draw, self._sizes)

    def learned(self, name: str) -> list[TextPair]:
        """Some of the phrases that a task learns from, and the letters of all names."""
        some: dict[Subset, int] = {"train": _LEARNED, "val": 0, "test": 0}
        letters = TextPair(*(PhraseWriter(language).letters() for language in (self.source, name)))
        return [*self._drawn(name, 0, some)["train"], letters]

    def _drawn(self, name: str, draw: int, sizes: dict[Subset, int]) -> Parts:
        """Draw phrases until each part is full; a source belongs to one part only, by its digest."""
        ours, theirs = PhraseWriter(self.source), PhraseWriter(name)
        drawer = PhraseDraw(np.random.default_rng((self._seed, draw)), ours.shared_codes(theirs))
        parts: Parts = {subset: [] for subset in SUBSETS}
        seen: set[str] = set()
        wanted, number, latest = sum(sizes.values()), 0, 0
        while number - latest < _IN_VAIN:
            phrase = drawer.phrase(self.kinds[number % len(self.kinds)])
            number += 1
            source = ours.write(phrase)
            part = self._shares.part_of(source)
            if part is None or len(parts[part]) == sizes[part] or text_key(source) in seen:
                continue
            seen.add(text_key(source))
            pair = TextPair(source, theirs.write(phrase))
            if max(map(len, pair)) <= LONGEST_PHRASE:
                parts[part].append(pair)
                latest = number
            if sum(map(len, parts.values())) == wanted:
                return parts
        raise ValueError(
            f"PhrasePairs: there are too few phrases of the kinds {', '.join(self.kinds)} for {wanted} pairs: ask for "
            "fewer, or for more kinds."
        )
