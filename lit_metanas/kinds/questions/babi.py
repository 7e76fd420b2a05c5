"""Questions about stories in the format of the bAbI tasks (Weston et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from lit_metanas.io.text import number_of, printable, writable
from lit_metanas.kinds.questions.question_words import (
    LONGEST_PASSAGE,
    Asked,
    QuestionWords,
    story_task,
    vocabulary_texts,
)
from lit_metanas.kinds.texts.labelled_text import MOST_SENTENCES, read_utf8, text_lines
from lit_metanas.tasks.task import SingleTask, Task

LARGEST_STORIES = 1 << 26  # bytes of a file
TRAIN_END, TEST_END = "_train.txt", "_test.txt"  # of the names of the files of a question type


class BabiTask(SingleTask):
    r"""Questions of one type about stories, such as one of the bAbI tasks, as a collection of a single task.

    Each line of a file has a number and a sentence of a story, or a question, a tab, the answer, and possibly a tab and
    the numbers of the sentences that give it. A story begins at number 1. Several answers are one with commas between,
    and a class of its own. A question is asked of the sentences before it.

    Args:
        path: the file of questions to learn from, in UTF-8.
        test_path: the file of questions to report accuracy on; None takes ``_test.txt`` in place of ``_train.txt``.
        preprocessing: makes inputs of questions; None takes ``QuestionWords()``. One without a vocabulary
            learns that of ``path``.
        val: share of the training questions to choose architectures by: those of the last stories; 0 takes none.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: a file is malformed, all answers are one, there are too few stories, or ``val`` is out of its range.

    Example:
        >>> from pathlib import Path
        >>> text = "1 Ada runs to the {0}.\n2 Tom walks to the {1}.\n3 Where is Ada?\t{0}\t1\n4 Where is Tom?\t{1}\t2\n"
        >>> for part in ("train", "test"):
        ...     stories = [text.format(*places) for places in (("park", "mill"), ("mill", "pier"), ("pier", "park"))]
        ...     size = Path(f"whereabouts_{part}.txt").write_text("".join(stories))
        >>> task = lm.kinds.BabiTask("whereabouts_train.txt", val=0.3)[0]
        >>> task.classes, len(task.train), len(task.val), len(task.test)
        (('mill', 'park', 'pier'), 4, 2, 6)
        >>> task.preprocessing.show(task.train.inputs[1:2])
        ['where is tom? | tom walks to the mill. ada runs to the park.']
    """

    def __init__(
        self,
        path: str,
        test_path: str | None = None,
        preprocessing: QuestionWords | None = None,
        val: float = 0.1,
    ) -> None:
        self.path = Path(path)
        self.test_path = _test_file(self.path) if test_path is None else Path(test_path)
        self.val = val
        self._parts = _read_parts(self.path, self.test_path, val, "BabiTask")
        self.preprocessing = (preprocessing or QuestionWords()).fitted(vocabulary_texts(self._parts[0]))

    def make(self) -> Task:
        """Make inputs of the questions."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        file = self.path
        name = file.name.removesuffix(TRAIN_END) if file.name.endswith(TRAIN_END) else file.stem
        return story_task(name, self._parts, self.preprocessing, f"'{writable(str(self.path))}'")


StoryParts = tuple[list[Asked], list[Asked], list[Asked]]


def _test_file(file: Path) -> Path:
    """The test file that belongs to a training file."""
    if not file.name.endswith(TRAIN_END):
        raise ValueError(
            f"The name of '{writable(str(file))}' does not end in {TRAIN_END}: give 'test_path', the questions to test "
            "with."
        )
    return file.with_name(file.name.removesuffix(TRAIN_END) + TEST_END)


def _read_parts(train: Path, test: Path, val: float, owner: str) -> StoryParts:
    """The questions of the three parts; no story of one is in another. The val part gets the last stories."""
    if not 0 <= val < 1:
        raise ValueError(f"{owner}: the share of the validation part = {val} must be at least 0 and below 1.")
    learned, tested = read_stories(train), read_stories(test)
    if not val:
        return learned, [], tested
    # The questions of a story stand together, and share it.
    begins = [i for i, asked in enumerate(learned) if not i or asked.story is not learned[i - 1].story]
    wanted = len(learned) - val * len(learned)
    begin = min(begins[1:], key=lambda at: abs(at - wanted), default=None)
    if begin is None:
        raise ValueError(
            f"'{writable(str(train))}' has questions about one story, too few for a train and a validation part: add "
            "stories, or set the share of the validation part to 0."
        )
    return learned[:begin], learned[begin:], tested


def read_stories(file: Path) -> list[Asked]:
    """The questions of a file in bAbI's format, with their stories."""
    found = list(_asked(text_lines(read_utf8(file, LARGEST_STORIES)), f"'{writable(str(file))}'"))
    if not found:
        raise ValueError(f"'{writable(str(file))}' has no questions: give a file with stories and questions.")
    return found


def _asked(lines: Sequence[str], place: str) -> Iterator[Asked]:
    story: list[str] = []
    before = 0
    if len(lines) > MOST_SENTENCES:
        raise ValueError(f"{place} has {number_of(len(lines), 'line')}, more than {MOST_SENTENCES}: take fewer.")
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"Line {at} of {place}"
        number, _, text = line.strip().partition(" ")
        if not (number.isascii() and number.isdecimal() and len(number) < 10) or not text.strip():
            raise ValueError(
                f"{where} is '{printable(line, 60)}', not a number and a sentence or question: write it so."
            )
        if int(number) == 1:
            story, before = [], 0
        if int(number) != before + 1:
            raise ValueError(f"{where} has the number {number} behind {before}: count on, or begin a story with 1.")
        if len(text) > LONGEST_PASSAGE:
            raise ValueError(f"{where} has {len(text)} characters, more than {LONGEST_PASSAGE}: shorten it.")
        before = int(number)
        question, *rest = (part.strip() for part in text.split("\t"))
        if not rest and not question.endswith("?"):
            story.append(question)
            continue
        if not rest or not rest[0]:
            raise ValueError(
                f"{where} has no answer to '{printable(question, 60)}': put a tab and the answer behind the question."
            )
        if not story:
            raise ValueError(
                f"{where} has a question before any sentence of its story: write it, or leave the line out."
            )
        if not question:
            raise ValueError(f"{where} has no question before its answer: write it, or leave the line out.")
        if len(rest) > 2 or not all(fact.isdecimal() for fact in " ".join(rest[1:]).split()):
            raise ValueError(
                f"{where} has more than a question, an answer and numbers of sentences between its tabs: leave it out."
            )
        yield Asked(question, story, len(story), ",".join(part.strip() for part in rest[0].split(",")))
