"""Searches behind scikit-learn's interface for networks that write: translations, answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from lit_metanas.automl.scikit.auto_estimator import AutoEstimator
from lit_metanas.inputs.tokens import split_words, word_places
from lit_metanas.io.text import composed, number_of, printable
from lit_metanas.kinds.pairs.text_pairs import TextPair, deal_sources, distinct_pairs, translation_task
from lit_metanas.kinds.questions import QuestionWords
from lit_metanas.kinds.questions.question_words import FEWEST_STEPS, Asked
from lit_metanas.kinds.questions.squad import (
    PASSAGE_STEPS,
    PassageQuestion,
    answer_spans,
    deal_passages,
    passage_task,
)
from lit_metanas.kinds.texts import Characters, Words
from lit_metanas.kinds.texts.labelled_text import checked_text, checked_texts
from lit_metanas.kinds.texts.vocabularies import characters_for
from lit_metanas.objectives import Span
from lit_metanas.objectives.objective import NEVER
from lit_metanas.objectives.translation import Translation, chrf_scores
from lit_metanas.tasks.source import Subset
from lit_metanas.tasks.splits import part_sizes
from lit_metanas.tasks.task import Task, warn_of_data


class AutoWriter(AutoEstimator):
    """A search whose network writes a text for each example; see ``AutoClassifier`` for parameters and attributes."""

    _kind: ClassVar[str]
    _noun: ClassVar[str]
    _written: ClassVar[str]

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told: examples are no rows of numbers, and there is a text for each."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Search, and train what was found.

        Args:
            X: the examples, see the class.
            y: the text of each.

        Raises:
            ValueError: examples or texts are malformed or too few, or a parameter is out of its range.
            KeyboardInterrupt: see ``AutoClassifier``.
        """
        examples, texts = self._pairs(X, y)
        seed = self._drawn_seed()
        task = self._task(examples, texts, seed)
        return self._ended(self._learn(task, self._kind, seed))

    def predict(self, X: Any) -> list[str]:
        """What the network writes for each example.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: an example is malformed.
        """
        self._check_fitted()
        examples = self._examples(X)
        if not examples:
            return []
        return self._texts(self._predictions(self._inputs(examples)), examples)

    def score(self, X: Any, y: Any) -> float:
        """How good the predictions are, 1 if all are right; see the class for the metric, ``predict`` for errors."""
        self._check_fitted()
        examples, texts = self._pairs(X, y)
        return self._judged(self._predictions(self._inputs(examples)), examples, texts)

    @property
    def _names(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def _examples(self, X: Any) -> list[Any]:
        """Examples that were looked at."""

    @abstractmethod
    def _task(self, examples: list[Any], texts: list[str], seed: int) -> Task:
        """The task of writing the texts; its test part, which nobody looks at, is the validation part."""

    @abstractmethod
    def _texts(self, predictions: list[Any], examples: list[Any]) -> list[str]:
        """Each prediction as a text."""

    @abstractmethod
    def _judged(self, predictions: list[Any], examples: list[Any], texts: list[str]) -> float:
        """How good the predictions are."""

    def _inputs(self, examples: list[Any]) -> Tensor:
        assert self.preprocessing_ is not None
        return self.preprocessing_.encode(examples)

    def _warn_of_cut(self, cut: int, limit: str) -> None:
        """Tell how many of the examples are cut, if any."""
        if cut:
            verb = "is" if cut == 1 else "are"
            warn_of_data(f"{number_of(cut, self._noun)} of 'X' {verb} longer than {limit}, and cut behind these.")

    def _predictions(self, inputs: Tensor) -> list[Any]:
        return [each for scores in self._scores(inputs) for each in self.objective_.predictions(scores)]

    def _pairs(self, X: Any, y: Any) -> tuple[list[Any], list[str]]:
        """Examples and as many texts; a ValueError says what is malformed, or that there are more or fewer."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        examples, texts = self._examples(X), checked_texts(y, "y", self._written)
        if not examples or len(examples) != len(texts):
            numbers = number_of(len(examples), self._noun), number_of(len(texts), self._written)
            raise ValueError(f"X has {numbers[0]} and y has {numbers[1]}: give one for each, and some of both.")
        return examples, texts


class AutoTranslator(AutoWriter):
    """Writes the texts that others become, such as translations: a search behind scikit-learn's interface.

    ``fit(sources, targets)`` takes two lists of texts, ``predict(sources)`` returns a list; ``score`` is the mean chrF,
    from 0 to 1. Pairs with the same source stay together where some choose among architectures. Texts are read and
    written letter by letter: as many as the longest source and the longest target of ``fit`` have, a quarter and two
    letters more, and never more than 64. Pairs with a longer text are left out of the training, and a longer source to
    translate is cut, with a warning.

    Its arguments and attributes are those of ``AutoClassifier``, but for ``start`` and ``classes_``. It needs
    ``pip install 'lit-metanas[sklearn]'``.

    Example:
        >>> numbers = [str(number) for number in range(30)]
        >>> translator = lm.AutoTranslator(method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1))
        >>> written = translator.fit(numbers, [number[::-1] for number in numbers]).predict(["12", "7"])
        >>> len(written), 0 <= translator.score(numbers, numbers) <= 1
        (2, True)
    """

    _kind, _noun, _written = "pairs", "source", "target"

    def _examples(self, X: Any) -> list[str]:
        return checked_texts(X, "X", self._noun)

    def _task(self, examples: list[str], texts: list[str], seed: int) -> Task:
        rows = [TextPair(*pair) for pair in zip(examples, texts, strict=True)]
        pairs = distinct_pairs(((f"place {place}", pair) for place, pair in enumerate(rows)), "X")
        parts = deal_sources(pairs, "X", train=1.0, val=self.validation_fraction, test=0.0, seed=seed)
        parts["test"] = parts["val"]
        return translation_task(
            self._kind,
            parts,
            characters_for(examples).fitted(pair.source for pair in parts["train"]),
            characters_for(texts).fitted(pair.target for pair in parts["train"]),
            metric="chrF",
            place="X",
            validated=True,
        )

    def _inputs(self, examples: list[str]) -> Tensor:
        assert isinstance(self.preprocessing_, Characters)
        cut = self.preprocessing_.whole(examples).count(False)
        self._warn_of_cut(cut, f"the {self.preprocessing_.steps} letters that are read")
        return super()._inputs(examples)

    def _texts(self, predictions: list[Any], examples: list[str]) -> list[str]:
        assert isinstance(self.objective_, Translation)
        return self.objective_.texts(predictions)

    def _judged(self, predictions: list[Any], examples: list[str], texts: list[str]) -> float:
        meant = [composed(text) for text in texts]
        return float(np.mean(chrf_scores(self._texts(predictions, examples), meant)))


class AutoAnswerer(AutoWriter):
    """Finds the parts of passages that answer questions: a search behind scikit-learn's interface.

    ``fit(pairs, answers)`` takes a list of pairs ``(passage, question)`` and one of answers, each a part of its
    passage; ``predict(pairs)`` returns a list of parts of the passages. ``score`` is F1 of the words of an answer, as
    they stand in the passage; of an answer that stands there several times the best counts. No passage of those to
    choose by is learned from, so two at least are needed. A passage and its question are read up to a quarter more
    words and punctuation marks than the longest such pair of ``fit`` has, and never more than 320, of which the
    question gets half at most. What is behind them is cut, with a warning.

    Its arguments and attributes are those of ``AutoClassifier``, but for ``start`` and ``classes_``. It needs
    ``pip install 'lit-metanas[sklearn]'``.

    Example:
        >>> homes = dict(zip("Ada Tom Eve Max Lea".split(), "Rome Oslo Bonn Bern Wien".split()))
        >>> pairs = [(f"{name} lives in {place}.", f"Where is {name}?") for name, place in homes.items()]
        >>> answerer = lm.AutoAnswerer(method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1))
        >>> found = answerer.fit(pairs, list(homes.values())).predict(pairs)
        >>> all(answer and answer in passage for answer, (passage, _) in zip(found, pairs))
        True
    """

    _kind, _noun, _written = "questions", "pair", "answer"

    def _examples(self, X: Any) -> list[tuple[str, str]]:
        found = []
        for place, pair in enumerate(X):
            if isinstance(pair, str) or not isinstance(pair, Sequence | np.ndarray) or len(pair) != 2:
                shown = printable(pair, 40) if isinstance(pair, str) else type(pair).__name__
                raise ValueError(f"X has '{shown}' in place {place}: give pairs (passage, question).")
            where = f"place {place}"
            found.append((checked_text(pair[0], "passage", where, "X"), checked_text(pair[1], "question", where, "X")))
        return found

    def _pairs(self, X: Any, y: Any) -> tuple[list[tuple[str, str]], list[str]]:
        examples, texts = super()._pairs(X, y)
        for place, ((passage, _), answer) in enumerate(zip(examples, texts, strict=True)):
            if answer not in passage:
                raise ValueError(
                    f"The answer '{printable(answer, 60)}' at place {place} of 'y' does not stand in its passage: give "
                    "a part of it, as it is written there."
                )
        return examples, texts

    def _task(self, examples: list[tuple[str, str]], texts: list[str], seed: int) -> Task:
        asked = [next(_asked(*pair, text)) for pair, text in zip(examples, texts, strict=True)]
        number = len({passage for passage, _ in examples})
        if number < 2:
            raise ValueError("All questions are about one passage, and others are to choose by: give two at least.")
        train, val, _ = part_sizes("X", number, train=None, val=self.validation_fraction, test=0.0)
        learned, chosen = deal_passages(asked, (train / number, val / number), seed)
        given = QuestionWords(Words(steps=_steps(examples)), newest_first=False)
        made = given.fitted(text for one in learned for text in (one.passage, one.question))
        parts: dict[Subset, list[PassageQuestion]] = {"train": learned, "val": chosen, "test": chosen}
        return passage_task(self._kind, parts, made, Span(), place="X")[0]

    def _inputs(self, examples: list[tuple[str, str]]) -> Tensor:
        assert isinstance(self.preprocessing_, QuestionWords)
        words = {text: len(word_places(text)) for text in set(chain.from_iterable(examples))}
        steps = self.preprocessing_.words.steps
        cut = [words[asked] > steps // 2 or words[asked] + 1 + words[passage] > steps for passage, asked in examples]
        self._warn_of_cut(sum(cut), f"the {steps} words that are read, of which half are for the question")
        asked = [Asked(question, [passage]) for passage, question in examples]
        return self.preprocessing_.encode_stories(asked)[0]

    def _predictions(self, inputs: Tensor) -> list[Any]:
        """The best steps within each passage: what stands in the question is no answer."""
        assert isinstance(self.preprocessing_, QuestionWords)
        scores = torch.cat(list(self._scores(inputs)))
        asked = inputs == self.preprocessing_.separator
        within = (asked.cumsum(1) > 0) & ~asked
        return self.objective_.predictions(scores.masked_fill(~within[:, : scores.shape[1], None], NEVER))

    def _texts(self, predictions: list[Any], examples: list[tuple[str, str]]) -> list[str]:
        assert isinstance(self.preprocessing_, QuestionWords)
        return self.preprocessing_.answers([(question, passage) for passage, question in examples], predictions)

    def _judged(self, predictions: list[Any], examples: list[tuple[str, str]], texts: list[str]) -> float:
        assert isinstance(self.preprocessing_, QuestionWords)
        places, asked = [], []
        for place, (pair, text) in enumerate(zip(examples, texts, strict=True)):
            for one in _asked(*pair, text):
                places.append(place)
                asked.append(one)
        spans = torch.tensor(answer_spans(asked, self.preprocessing_), dtype=torch.int64)
        right = self.objective_.judge([predictions[place] for place in places], spans).right
        best = torch.zeros(len(examples), dtype=right.dtype)
        return float(best.scatter_reduce(0, torch.tensor(places), right, "amax").mean())


def _asked(passage: str, question: str, answer: str) -> Iterator[PassageQuestion]:
    """A question with each place of its answer in the passage: where it stands as whole words, or else anywhere."""
    words = word_places(passage)
    begins, ends = {begin for _, begin, _ in words}, {end for *_, end in words}
    found = [at for at in range(len(passage)) if passage.startswith(answer, at)]
    whole = [at for at in found if at in begins and at + len(answer) in ends]
    for at in whole or found:
        yield PassageQuestion("", question, passage, (answer,), (at,))


def _steps(examples: Sequence[tuple[str, str]]) -> int:
    """Steps that the longest question, which gets half of them at most, and passage need, and some for longer ones."""
    pairs = [(len(split_words(passage)), len(split_words(question)) + 1) for passage, question in examples]
    longest = max(max(passage + question, 2 * question) for passage, question in pairs)
    return min(PASSAGE_STEPS, max(FEWEST_STEPS, 5 * longest // 4))
