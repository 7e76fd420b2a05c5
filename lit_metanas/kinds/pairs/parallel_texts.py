"""One's own pairs of texts as a target task."""

from __future__ import annotations

from pathlib import Path

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.text import writable
from lit_metanas.kinds.pairs.text_pairs import deal_sources, distinct_pairs, read_pairs, translation_task
from lit_metanas.kinds.texts.labelled_text import text_key
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.objectives.translation import TextMetric
from lit_metanas.tasks.splits import check_shares, tell_repeats
from lit_metanas.tasks.task import SingleTask, Task


class ParallelTask(SingleTask):
    r"""One's own pairs of texts as a collection of a single task, such as sentences and their translations.

    The task is ``ParallelTask("pairs.tsv")[0]``. Pairs with the same source (but for case and spaces) stay together, so
    that no source of the test part is learned from. A pair that repeats another is taken once, and one that is longer
    than the steps of a preprocessing is left out, both with a warning.

    Args:
        path: a table, CSV, TSV or JSON lines, whose first line names the columns; or the file of sources, a line each.
        translations: the file of targets, a line each, where ``path`` is no table.
        source: the column of sources; None finds it by a usual name, such as ``word``, or takes the other one of two.
        target: the column of targets; None finds it by a usual name, or takes the other one of two.
        preprocessing: makes inputs of sources; None takes ``Characters()``, which suits words and short sentences, and
            ``BytePairs()`` suits long ones. One without a vocabulary gets that of the sources to learn from.
        target_preprocessing: makes targets; as ``preprocessing``.
        metric: what the task is judged by; see ``Translation``.
        train: share of the sources to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report the metric on.
        seed: seed of the random split, at least 0.
        test_path: a table of the pairs to report on; None takes some of ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is malformed, there are too few sources, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"{number}\t{number + 1}" for number in range(30)]
        >>> size = Path("next.tsv").write_text("source\ttarget\n" + "\n".join(rows))
        >>> task = lm.ParallelTask("next.tsv")[0]
        >>> len(task.train), len(task.val), len(task.test)
        (18, 6, 6)
        >>> task.preprocessing.show(task.test.inputs[:2]), task.objective.target.show(task.test.labels[:2])
        (['22', '9'], ['23', '10'])
    """

    def __init__(
        self,
        path: str,
        translations: str | None = None,
        source: str | None = None,
        target: str | None = None,
        preprocessing: TextPreprocessing | None = None,
        target_preprocessing: TextPreprocessing | None = None,
        metric: TextMetric = "chrF",
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        test_path: str | None = None,
    ) -> None:
        check_shares("ParallelTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        self.metric: TextMetric = metric
        self._given = preprocessing or Characters(), target_preprocessing or Characters()
        place = writable(path)
        pairs = distinct_pairs(read_pairs(self.path, translations, source, target), place)
        shares = {"train": train, "val": val, "test": test}
        if test_path is not None:
            shares |= {"train": 1.0, "test": 0.0}
        self._parts = deal_sources(pairs, place, **shares, seed=seed)
        if test_path is not None:
            there = writable(test_path)
            self._parts["test"] = distinct_pairs(read_pairs(Path(test_path), None, source, target), there)
            known = {text_key(pair.source) for pair in pairs}
            tell_repeats(f"'{there}'", sum(text_key(pair.source) in known for pair in self._parts["test"]), "source")

    def make(self) -> Task:
        """Split the pairs and make inputs and targets of them."""
        source, target = self._given
        learned = self._parts["train"]
        return translation_task(
            self.path.resolve().stem,
            self._parts,
            source.fitted(pair.source for pair in learned),
            target.fitted(pair.target for pair in learned),
            metric=self.metric,
            place=writable(str(self.path)),
        )
