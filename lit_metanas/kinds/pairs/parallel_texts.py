"""One's own pairs of texts: a file as a task, a table as tasks of many languages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.text import number_of, printable, writable
from lit_metanas.kinds.pairs.pair_tasks import PairTasks
from lit_metanas.kinds.pairs.text_pairs import (
    LANGUAGE_COLUMNS,
    Parts,
    Side,
    TextPair,
    TextShares,
    deal_sources,
    distinct_pairs,
    find_pair_columns,
    pair_rows,
    read_pairs,
    translation_task,
)
from lit_metanas.kinds.texts.labelled_text import checked_text, text_key
from lit_metanas.kinds.texts.text_tables import (
    TableRow,
    column_groups,
    free_columns,
    listed,
    read_rows,
    usual_column,
)
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.objectives.translation import TextMetric
from lit_metanas.tasks.source import Subset
from lit_metanas.tasks.splits import check_shares, tell_shared_groups
from lit_metanas.tasks.task import SingleTask, Task, warn_of_data


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
        group: the column that says which pairs belong together, such as those of a document, and so into one part.
            Groups that have a source in common count as one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is malformed, there are too few sources or groups, or an argument is out of its range.

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
        group: str | None = None,
    ) -> None:
        check_shares("ParallelTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        self.metric: TextMetric = metric
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        self._given = preprocessing or Characters(), target_preprocessing or Characters()
        self.group = group
        rows = list(read_pairs(self.path, translations, source, target, group))
        self._pairs = distinct_pairs(rows, writable(path))
        self._groups = None if group is None else _groups(self.path, group, rows)
        self._tested: list[TextPair] | None = None
        if test_path is not None:
            place = writable(test_path)
            tested = list(read_pairs(Path(test_path), None, source, target, group))
            self._tested = distinct_pairs(tested, place)
            if group is not None:
                tell_shared_groups(f"'{place}'", self._groups, _groups(Path(test_path), group, tested))
            known = {text_key(pair.source) for pair in self._pairs}
            if repeated := sum(text_key(pair.source) in known for pair in self._tested):
                warn_of_data(
                    f"'{place}' repeats {number_of(repeated, 'source')} of '{writable(path)}', which are learned from: "
                    f"the test {metric} will be too good. Leave them out of one of the two."
                )

    def make(self) -> Task:
        """Split the pairs and make inputs and targets of them."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        place = writable(str(self.path))
        train, test = self.train, self.test
        if self._tested is not None:
            train, test = 1.0, 0.0
        parts = deal_sources(
            self._pairs, place, train=train, val=self.val, test=test, seed=self.seed, groups=self._groups
        )
        if self._tested is not None:
            parts["test"] = self._tested
        source, target = self._given
        return translation_task(
            self.path.resolve().stem,
            parts,
            source.fitted(pair.source for pair in parts["train"]),
            target.fitted(pair.target for pair in parts["train"]),
            metric=self.metric,
            place=place,
            validated=self.val > 0,
        )


def _groups(path: Path, group: str, rows: Sequence[tuple[str, TextPair]]) -> dict[TextPair, str]:
    """The groups of the pairs of a table; of a pair that stands twice the first."""
    found: dict[TextPair, str] = {}
    for (_, pair), own in zip(rows, column_groups(list(read_rows(path)), writable(str(path)), group), strict=True):
        found.setdefault(TextPair(pair.source.strip(), pair.target.strip()), own)
    return found


class ParallelTable(PairTasks):
    r"""A table of texts and their translations in many languages: each pair of languages is a task.

    Some pairs are held out, as listed or drawn by a seed. Within and between tasks a source belongs to one part
    only, or with ``split_by="target"`` a target. The other text of a pair may stand in several parts.

    Args:
        path: the file; CSV, TSV or JSON lines, whose first line names the columns.
        subset: which pairs are the tasks: meta-train on ``train``, choose by ``val``, report on ``test``.
        pair: the column that names the pair of languages; None finds it by a usual name, such as ``language``.
        source: the column of sources, as in ``ParallelTask``.
        target: the column of targets, as in ``ParallelTask``.
        meta_val: names of the meta-validation pairs; with this or the next list, all others are for meta-training.
        meta_test: names of the meta-test pairs.
        fractions: shares of the pairs in the three subsets, if no list is given.
        train: share of each pair's texts to learn from.
        val: share to choose architectures by; 0 leaves tasks without a validation part.
        test: share to report the metric on.
        split_by: which texts decide the part: take ``target`` where several languages are translated into one.
        seed: seed of both splits, at least 0.
        preprocessing: makes inputs of sources; None takes ``Characters()``. One without a vocabulary gets that of the
            meta-train pairs, and the letters of the others. To ``Words`` a held-out language stays unknown.
        target_preprocessing: makes targets.
        metric: what tasks are judged by; see ``Translation``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the table is malformed, a named pair does not exist, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"{code}\t{n}\t{code} {n}" for code in ("de", "fr", "nl", "sv") for n in range(60)]
        >>> size = Path("numbers.tsv").write_text("language\tsource\ttarget\n" + "\n".join(rows))
        >>> tasks = lm.kinds.ParallelTable("numbers.tsv", meta_test=["nl", "sv"])
        >>> [task.id for task in tasks], tasks.shape
        (['numbers/test/nl', 'numbers/test/sv'], TokenShape(vocabulary=12, steps=64))
    """

    def __init__(
        self,
        path: str,
        subset: Subset = "test",
        pair: str | None = None,
        source: str | None = None,
        target: str | None = None,
        meta_val: list[str] | None = None,
        meta_test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        split_by: Side = "source",
        seed: int = 0,
        preprocessing: TextPreprocessing | None = None,
        target_preprocessing: TextPreprocessing | None = None,
        metric: TextMetric = "chrF",
    ) -> None:
        self.path = Path(path)
        self._name = self.path.stem
        self._shares = TextShares("ParallelTable", train, val, test, seed, split_by)
        rows, place = list(read_rows(self.path)), writable(path)
        column = _pair_column(rows, place, pair)
        columns = find_pair_columns(rows, place, source, target, pair=column)
        groups: dict[str, list[TableRow]] = {}
        for where, row in rows:
            groups.setdefault(checked_text(row.get(column, ""), column, where, place), []).append((where, row))
        self._pairs = {name: distinct_pairs(pair_rows(groups[name], *columns), place) for name in sorted(groups)}
        if len(groups) < 2:
            raise ValueError(
                f"Column '{column}' of '{place}' names one pair only, '{printable(next(iter(groups)), 80)}': give two "
                "or more, or take ParallelTask."
            )
        super().__init__(
            list(self._pairs),
            subset,
            preprocessing,
            target_preprocessing,
            metric,
            meta_val=meta_val,
            meta_test=meta_test,
            fractions=fractions,
            seed=seed,
            place=place,
            validated=val > 0,
        )

    def parts(self, name: str, draw: int) -> Parts:
        """The pairs of texts of a pair of languages, divided."""
        return self._shares.deal(self._pairs[name])


def _pair_column(rows: list[TableRow], place: str, pair: str | None) -> str:
    """The column that names pairs of languages."""
    free = free_columns(rows, place, pair=pair)
    found = pair or usual_column(free, LANGUAGE_COLUMNS)
    if found is None:
        raise ValueError(
            f"'{place}' has the columns {listed(free)}: say by 'pair' which names the languages, or take ParallelTask "
            "for a single pair."
        )
    return found
