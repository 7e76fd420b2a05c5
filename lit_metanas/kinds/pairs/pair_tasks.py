"""Collections of tasks of translation, one for each pair of languages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property

from torch import Tensor

from lit_metanas.inputs.shapes import PADDING, Shape
from lit_metanas.inputs.tokens import UNKNOWN, TextPreprocessing
from lit_metanas.io.text import hint, number_of
from lit_metanas.kinds.pairs.text_pairs import Parts, Side, TextPair, translation_task
from lit_metanas.kinds.texts.vocabularies import Characters, Words
from lit_metanas.objectives.translation import TextMetric
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.splits import class_subsets
from lit_metanas.tasks.task import Task, TaskCollection, warn_of_data


class PairTasks(TaskCollection):
    """Tasks of translation of one subset, made when they are asked for."""

    # All share the vocabularies of the meta-train tasks, so that the weights of one network start on each of them. The
    # letters of the other tasks are added, for some have letters of their own. Their words are not: a language that is
    # held out needs `Characters` or `BytePairs`. With `Words`, a warning names each held-out task of which more than
    # half of the words are unknown.

    _name = ""

    def __init__(
        self,
        names: Sequence[str],
        subset: Subset,
        preprocessing: TextPreprocessing | None = None,
        target_preprocessing: TextPreprocessing | None = None,
        metric: TextMetric = "chrF",
        *,
        meta_val: Sequence[str] | None = None,
        meta_test: Sequence[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
        noun: str = "pair",
        place: str | None = None,
        validated: bool = True,
        tasks: int | None = None,
    ) -> None:
        owner = type(self).__name__
        if subset not in SUBSETS:
            raise ValueError(f"{owner}: there is no subset '{subset}': choose train, val or test.")
        lists: dict[Subset, Sequence[str] | None] = {"train": None, "val": meta_val, "test": meta_test}
        if meta_val is not None or meta_test is not None:
            held_out = {*(meta_val or ()), *(meta_test or ())}
            lists["train"] = [name for name in names if name not in held_out]
        self._names = class_subsets(
            names, lists, fractions=fractions, seed=seed, owner=owner, place=place or owner, noun=noun
        )
        if not self._names[subset]:
            raise ValueError(
                f"{owner}: there is no {noun} in '{subset}': choose another subset, other fractions, or name some."
            )
        self.subset: Subset = subset
        self.metric: TextMetric = metric
        self._given = preprocessing or Characters(), target_preprocessing or Characters()
        self._noun = noun
        self._validated = validated
        self._tasks = tasks or len(self.names)

    @property
    def name(self) -> str:
        """The first part of the ids of the tasks."""
        return self._name or type(self).__name__.lower()

    @property
    def names(self) -> tuple[str, ...]:
        """What each task is about, such as its language, in their order."""
        return self._names[self.subset]

    @abstractmethod
    def parts(self, name: str, draw: int) -> Parts:
        """The pairs of a task."""

    def learned(self, name: str) -> Sequence[TextPair]:
        """The pairs of a task that vocabularies are counted on: by default those that it learns from."""
        return self.parts(name, 0)["train"]

    @cached_property
    def preprocessings(self) -> tuple[TextPreprocessing, TextPreprocessing]:
        """What makes inputs, and what makes targets, with their vocabularies."""
        source, target = self._given
        return source.fitted(self._counted("source", source)), target.fitted(self._counted("target", target))

    def _counted(self, side: Side, preprocessing: TextPreprocessing) -> Iterator[str]:
        """The texts of the meta-train tasks, and the letters of the others, which could not be written otherwise."""
        if not self._names["train"]:
            raise ValueError(
                f"{type(self).__name__}: no {self._noun} is left for meta-training, whose texts a vocabulary is "
                "counted on: hold out fewer, or give preprocessings with a vocabulary."
            )
        for name in self._names["train"]:
            yield from (getattr(pair, side) for pair in self.learned(name))
        if isinstance(preprocessing, Words):  # which has no letters
            return
        for name in (*self._names["val"], *self._names["test"]):
            yield from sorted({letter for pair in self.learned(name) for letter in getattr(pair, side)})

    @property
    def shape(self) -> Shape:
        """Of one input."""
        return self.preprocessings[0].shape

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self._tasks

    def __getitem__(self, index: int) -> Task:
        """Make one task."""
        if not 0 <= index < len(self):
            raise IndexError(f"task {index} of {len(self)}")
        draw, place = divmod(index, len(self.names))
        name = self.names[place]
        source, target = self.preprocessings
        id = f"{self.name}/{self.subset}/{name}"
        if draw:
            id += f"/{draw}"
        task = translation_task(
            id,
            self.parts(name, draw),
            source,
            target,
            metric=self.metric,
            place=f"{self.name}/{name}",
            validated=self._validated,
        )
        if self.subset != "train":
            _warn_of_unknown(task.id, "source", source, task.train.inputs, "preprocessing")
            _warn_of_unknown(task.id, "target", target, task.train.labels, "target_preprocessing")
        return task


def _warn_of_unknown(id: str, side: Side, preprocessing: TextPreprocessing, tokens: Tensor, option: str) -> None:
    """Warn of a held-out task if its language is not that of the vocabulary: most of its words are unknown."""
    unknown, words = int((tokens == UNKNOWN).sum()), int((tokens != PADDING).sum())
    if isinstance(preprocessing, Words) and 2 * unknown > words:
        warn_of_data(
            f"{unknown} of {number_of(words, 'word')} of the {side}s that '{id}' learns from are unknown: the "
            f"vocabulary has words of the meta-train tasks alone. Give Characters or BytePairs as '{option}'."
        )


def check_source_language(owner: str, source: str, known: Sequence[str], fix: str) -> None:
    """Refuse a source that is not known."""
    if source not in known:
        raise ValueError(f"{owner}: there is no source '{source}': {hint(source, known, fix)}")
