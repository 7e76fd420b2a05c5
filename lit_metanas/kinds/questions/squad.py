"""Questions whose answers are parts of passages, in the format of SQuAD (Rajpurkar et al. 2016), and their kind."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from lit_metanas.inputs.preprocessing import word_places
from lit_metanas.inputs.shapes import Shape, vocabulary_of
from lit_metanas.io.files import read_regular
from lit_metanas.io.json_files import LARGEST_JSON, parse_json
from lit_metanas.io.text import number_of, printable, writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind
from lit_metanas.kinds.questions.question_words import LONGEST_PASSAGE, Asked, QuestionWords
from lit_metanas.kinds.texts.table_files import SUFFIXES_OF_TABLES, is_table_file, read_rows
from lit_metanas.kinds.texts.text_tables import free_columns, guess_two, listed, new_texts
from lit_metanas.kinds.texts.vocabularies import Words
from lit_metanas.objectives import Objective
from lit_metanas.objectives.step_objectives import NOWHERE, Span
from lit_metanas.spaces import SearchSpace, SequenceSpace
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.splits import check_shares, tell_repeats
from lit_metanas.tasks.task import SingleTask, Split, Task, warn_of_data

# Names by which columns are found, whatever their case.
QUESTION_COLUMNS = ("question", "query")
PASSAGE_COLUMNS = ("context", "passage", "story", "paragraph", "document", "text")
PASSAGE_STEPS = 320  # words of a question and its passage; few passages of SQuAD have more


class PassageQuestion(NamedTuple):
    """A question about a passage."""

    id: str
    question: str
    passage: str
    answers: tuple[str, ...]  # by one person or by several
    starts: tuple[int, ...]  # the character of the passage where each answer begins


class SquadTask(SingleTask):
    """Questions whose answers are parts of passages, as a collection of a single task: JSON in SQuAD's format.

    An input is the question, a separator and the passage; targets are the first and the last word of the answer, of
    several answers the first one. Passages are cut off behind the steps of the preprocessing. Where this cuts the
    answer off, a question of the train or val part is left out, and one of the test part counts as a miss. A question
    without an answer, or whose answers do not stand where they are said to, is left out of all parts. Warnings say how
    many these are, and how many passages of ``test_path`` are learned from, too.

    Args:
        path: the file of questions to learn from.
        test_path: the file of questions to report on; None takes some passages of the first file.
        preprocessing: makes inputs of questions and passages, in the order of their words; None takes 320 words.
        longest: words of an answer at most, among predictions.
        val: share of the passages to choose architectures by; 0 leaves the task without a validation part.
        test: share of the passages to report on, without a ``test_path``. All others are to learn from.
        seed: seed of the random split of the passages, at least 0.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file is malformed, a part has no question, or an argument is out of its range.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> def paragraph(name, place):
        ...     answer = {"text": place, "answer_start": len(name) + 10}
        ...     asked = {"id": name, "question": f"Where does {name} live?", "answers": [answer]}
        ...     return {"context": f"{name} lives in {place}, they say.", "qas": [asked]}
        >>> rows = [paragraph(*pair) for pair in zip("Ada Tom Eve Max Lea".split(), "Rome Oslo Bonn Bern Wien".split())]
        >>> size = Path("lives.json").write_text(json.dumps({"data": [{"title": "lives", "paragraphs": rows}]}))
        >>> lives = lm.SquadTask("lives.json")
        >>> task = lives[0]
        >>> task.train.labels.tolist()
        [[9, 9], [9, 9], [9, 9]]
        >>> (asked,) = lives.questions("test")
        >>> task.preprocessing.answers([(asked.question, asked.passage)], [(9, 9)]), asked.answers
        (['Oslo'], ('Oslo',))
    """

    def __init__(
        self,
        path: str,
        test_path: str | None = None,
        preprocessing: QuestionWords | None = None,
        longest: int = 30,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
    ) -> None:
        drawn = test_path is None
        check_shares("SquadTask", val=val, test=test if drawn else 0.0, drawn=drawn, seed=seed)
        given = preprocessing or QuestionWords(Words(steps=PASSAGE_STEPS), newest_first=False)
        if given.newest_first:
            raise ValueError("SquadTask: answers are parts of passages: give QuestionWords with newest_first=False.")
        self.path = Path(path)
        self.objective = Span(longest)
        passages, place = read_passages(self.path), f"'{writable(path)}'"
        if test_path is None:
            parts = deal_passages(passages, (1 - val - test, val, test), seed)
        else:
            tested = read_passages(Path(test_path))
            known = {one.passage for one in passages}
            tell_repeats(f"'{writable(test_path)}'", len(known & {one.passage for one in tested}), "passage")
            parts = [*deal_passages(passages, (1 - val, val), seed), tested]
        # A passage counts once for each of its questions. It is split once, as these stand together.
        self.preprocessing = given.fitted(chain((one.passage for one in parts[0]), (one.question for one in parts[0])))
        self._parts: dict[Subset, list[tuple[PassageQuestion, tuple[int, int]]]] = {}
        cut, steps = 0, self.preprocessing.words.steps
        for subset, asked in zip(SUBSETS, parts, strict=True):
            # What is cut off has no target to learn from, but counts as a miss where it is tested.
            found = list(zip(asked, answer_spans(asked, self.preprocessing), strict=True))
            reached = [(one, span) for one, span in found if span != (NOWHERE, NOWHERE)]
            cut += len(found) - len(reached)
            self._parts[subset] = found if subset == "test" else reached
            if not self._parts[subset] and (val or subset != "val"):
                raise ValueError(
                    f"The {subset} part of {place} has no question whose answer stands within the first {steps} words: "
                    "add passages, or give a preprocessing with more steps."
                )
        if cut:
            warn_of_data(
                f"{number_of(cut, 'question')} of {place} have their answers behind the first {steps} words: those of "
                "the train and val parts are left out, those of the test part count as misses. Give a preprocessing "
                "with more steps."
            )

    def questions(self, subset: Subset) -> list[PassageQuestion]:
        """The questions of one part of the task, in the order of its examples, with all their answers."""
        return [one for one, _ in self._parts[subset]]

    def make(self) -> Task:
        """Make inputs of the questions."""
        train, val, test = (
            Split(
                self.preprocessing.encode_stories([Asked(one.question, [one.passage]) for one, _ in part]),
                torch.tensor([span for _, span in part], dtype=torch.int64).reshape(-1, 2),
            )
            for part in self._parts.values()
        )
        return Task(
            id=self.path.resolve().stem,
            way=self.objective.outputs,
            train=train,
            val=val,
            test=test,
            vocabulary=vocabulary_of(self.preprocessing.shape),
            preprocessing=self.preprocessing,
            objective=self.objective,
            grouped=True,  # all questions of a passage are in one part
        )


def answer_spans(asked: Sequence[PassageQuestion], preprocessing: QuestionWords) -> list[tuple[int, int]]:
    """The first and last step of each first answer, as the preprocessing counts them; nowhere if it is cut off."""
    spans = []
    # Questions of one passage stand together. Its words are found once, so that many questions do not take long.
    for passage, group in groupby(asked, key=lambda one: one.passage):
        places = word_places(passage)
        begins, ends = [begin for _, begin, _ in places], [end for *_, end in places]
        for one in group:
            before = len(preprocessing.begin(one.question))
            # From the first word that ends behind the answer's begin to the last one that begins before its end.
            first = before + bisect_right(ends, one.starts[0])
            last = before + bisect_left(begins, one.starts[0] + len(one.answers[0])) - 1
            spans.append((first, last) if last < preprocessing.words.steps else (NOWHERE, NOWHERE))
    return spans


def read_passages(file: Path) -> list[PassageQuestion]:
    """The questions of a file in SQuAD's format that have an answer in their passage."""
    place = writable(str(file))
    found, absent = [], 0
    for one in read_questions(file):
        right = [
            (text, start)
            for text, start in zip(one.answers, one.starts, strict=True)
            if text.strip() and start >= 0 and one.passage.startswith(text, start)
        ]
        absent += not right
        if right:
            answers, starts = zip(*right, strict=True)
            found.append(one._replace(answers=answers, starts=starts))
    if not found:
        raise ValueError(
            f"'{place}' has no question whose answer stands in its passage at 'answer_start': give some with such."
        )
    if absent:
        warn_of_data(
            f"{number_of(absent, 'question')} of '{place}' have no answer that stands in the passage: left out."
        )
    return found


def read_questions(file: Path, *, answered: bool = True) -> Iterator[PassageQuestion]:
    """All questions of a file in SQuAD's format."""
    place = writable(str(file))
    try:
        document = parse_json(read_regular(file, LARGEST_JSON), longest=LONGEST_PASSAGE)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{place}': give one of questions in SQuAD's format.") from None
    except ValueError as error:
        raise ValueError(f"'{place}' {error}: give a file of questions in SQuAD's format.") from None
    for article in _part(document, "data", list, f"'{place}'"):
        for number, paragraph in enumerate(_part(article, "paragraphs", list, f"An article of '{place}'"), 1):
            within = f"Paragraph {number} of an article of '{place}'"
            passage = _part(paragraph, "context", str, within)
            for asked in _part(paragraph, "qas", list, within):
                question = _part(asked, "question", str, f"A question of '{place}'")
                where = f"The question '{printable(question, 60)}' of '{place}'"
                if not question.strip():
                    raise ValueError(f"A question of '{place}' is empty: write it, or leave it out.")
                answers = _part(asked, "answers", list, where) if answered else []
                yield PassageQuestion(
                    id=str(asked.get("id", "")),
                    question=question,
                    passage=passage,
                    answers=tuple(_part(answer, "text", str, where) for answer in answers),
                    starts=tuple(_part(answer, "answer_start", int, where) for answer in answers),
                )


def _part(value: object, name: str, kind: type, where: str) -> Any:
    found = isinstance(value, Mapping) and value.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        nouns = {list: "list", str: "text", int: "whole number"}
        raise ValueError(f"{where} has no {nouns[kind]} '{name}': give a file of questions in SQuAD's format.")
    return found


def deal_passages(asked: Sequence[PassageQuestion], shares: Sequence[float], seed: int) -> list[list[PassageQuestion]]:
    """The questions of each part, whose share is one of all passages; no passage of one part is in another."""
    passages = list(dict.fromkeys(one.passage for one in asked))
    order = np.random.default_rng(seed).permutation(len(passages))
    # By the middle of each passage on a line of all: sizes differ from the shares by less than one.
    parts = np.searchsorted(np.cumsum(shares[:-1]) * len(passages), np.arange(len(passages)) + 0.5, side="right")
    part_of = {passages[place]: part for place, part in zip(order, parts, strict=True)}
    return [[one for one in asked if part_of[one.passage] == part] for part in range(len(shares))]


class QuestionKind(Kind):
    """Questions that a part of their passage answers, in SQuAD's format."""

    name = "questions"
    noun = "questions"
    new_files = frozenset({".json", ".txt", *SUFFIXES_OF_TABLES})
    piped = ".txt"
    labelled = False
    first: ClassVar = ({"operation": "gru", "depth": "2"},)

    def claims(self, path: Path, group: str | None) -> bool:
        """A JSON file."""
        return path.suffix.lower() == ".json" and not is_table_file(path)

    def holds(self, task: Task) -> bool:
        """By its objective."""
        return isinstance(task.goal, Span)

    def read(self, source: Source) -> Task:
        """Of a JSON file."""
        if source.group is not None:
            raise ValueError("Questions are divided by their passages: leave 'group' out.")
        return SquadTask(str(source.path), source.test_path)[0]

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Networks with scores for each step."""
        return SequenceSpace(
            operations=("conv_3", "conv_5", "gated_linear", "attention_4", "gru"),
            activations=("ReLU", "GELU"),
            dropouts=(0.0, 0.2),
            skips=("residual",),
            widths=(32,),
            readouts=("each",),
        )

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """Questions with their passages: in SQuAD's format, of tables, or of lines with a tab between the two."""
        return new_texts(paths, _questions)


def _questions(file: Path) -> list[str] | None:
    """Questions and passages with a tab between, of SQuAD's format or of a table; None where the file is neither."""
    place = writable(str(file))
    if not is_table_file(file):
        if file.suffix.lower() != ".json":
            return None
        return [_with_passage(one.question, one.passage) for one in read_questions(file, answered=False)]
    rows = list(read_rows(file))
    free = free_columns(rows, place)
    question, passage = guess_two(free, (None, None), (QUESTION_COLUMNS, PASSAGE_COLUMNS))
    if question is None or passage is None:
        raise ValueError(
            f"'{place}' has the columns {listed(free)}: call those of questions and their passages 'question' and "
            "'context', or give a file that ends in .txt, with a question, a tab and its passage on each line."
        )
    return [_with_passage(str(row.get(question) or ""), str(row.get(passage) or "")) for _, row in rows]


def _with_passage(question: str, passage: str) -> str:
    """A question and its passage as one text, as preprocessings take it; empty where one of them is."""
    words, passage = " ".join(question.split()), passage.strip()
    if not words or not passage:
        return ""
    return f"{words}\t{passage}"
