"""Pairs of texts in many languages, each pair of languages a task: one table, or a folder of them."""

from __future__ import annotations

from pathlib import Path

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.class_folders import files_in
from lit_metanas.io.text import is_text, printable, writable
from lit_metanas.kinds.pairs.pair_tasks import PairTasks
from lit_metanas.kinds.pairs.text_pairs import (
    LANGUAGE_COLUMNS,
    Parts,
    Side,
    TextPair,
    TextShares,
    distinct_pairs,
    find_pair_columns,
    pair_rows,
    read_pairs,
)
from lit_metanas.kinds.texts.labelled_text import checked_text
from lit_metanas.kinds.texts.text_tables import (
    SUFFIXES_OF_TABLES,
    TableRow,
    free_columns,
    listed,
    read_rows,
    usual_column,
)
from lit_metanas.objectives.translation import TextMetric
from lit_metanas.tasks.source import Subset


class ParallelTable(PairTasks):
    r"""A table of texts and their translations in many languages: each pair of languages is a task.

    Some pairs are held out, as listed or drawn by a seed. Within and between tasks a source belongs to one part
    only, or with ``split_by="target"`` a target. The other text of a pair may stand in several parts.

    Args:
        path: the file; CSV, TSV or JSON lines, whose first line names the columns.
        subset: which pairs are the tasks: meta-train on ``train``, choose by ``val``, report on ``test``.
        pair: the column that names the pair of languages; None finds it by a usual name, such as ``pair`` or
            ``language``.
        source: the column of sources, as in ``ParallelTask``.
        target: the column of targets, as in ``ParallelTask``.
        meta_val: names of the meta-validation pairs; if this or the next list is given, none is drawn at random, and
            all others are for meta-training.
        meta_test: names of the meta-test pairs.
        fractions: shares of the pairs in the three subsets, if no list is given.
        train: share of each pair's texts to learn from.
        val: share to choose architectures by; 0 leaves tasks without a validation part.
        test: share to report the metric on.
        split_by: which texts decide the part that they stand in: take ``target`` where several languages are
            translated into one.
        seed: seed of both splits, at least 0.
        preprocessing: makes inputs of sources; None takes ``Characters()``. One without a vocabulary gets that of the
            meta-train pairs, and the letters of the others, as ``target_preprocessing``. Do not take ``Words`` for a
            language that is held out, whose words all stay unknown: see ``PairTasks``.
        target_preprocessing: makes targets.
        metric: what tasks are judged by; see ``Translation``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no such table, lacks a column or a text, or has fewer than two pairs of languages; a
            named one does not exist, the subset has none, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
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

    @property
    def name(self) -> str:
        """The name of the file, without its ending."""
        return self.path.stem

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


class ParallelFolder(PairTasks):
    r"""A folder of tables of texts and their translations: each table is a task, which is called as its file is.

    Tables are read when they are asked for; in all else it is as ``ParallelTable``.

    Args:
        root: the folder of CSV, TSV or JSON lines.
        subset: which tables are the tasks.
        source: the column of sources in each table, as in ``ParallelTask``.
        target: the column of targets.
        meta_val: names of the meta-validation tables, without their endings; see ``ParallelTable``.
        meta_test: names of the meta-test tables.
        fractions: shares of the tables in the three subsets, if no list is given.
        train: share of each table's texts to learn from.
        val: share to choose architectures by; 0 leaves tasks without a validation part.
        test: share to report the metric on.
        split_by: which texts decide the part that they stand in.
        seed: seed of both splits, at least 0.
        preprocessing: makes inputs of sources.
        target_preprocessing: makes targets.
        metric: what tasks are judged by; see ``Translation``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has fewer than two tables or two of one name, a named one does not exist, the subset has none, or
            an argument is out of its range; later, that a table is malformed.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> Path("spoken").mkdir()
        >>> for code in ("deu", "fra", "spa", "swe"):
        ...     rows = [f"{n}\t{code[n % 3]}{code[n // 3 % 3]}" for n in range(30)]
        ...     size = Path("spoken", f"{code}.tsv").write_text("source\ttarget\n" + "\n".join(rows))
        >>> tasks = lm.kinds.ParallelFolder("spoken", meta_test=["spa", "fra"])
        >>> len(tasks), tasks[0].id, tasks.shape
        (2, 'spoken/test/spa', TokenShape(vocabulary=11, steps=64))
    """

    def __init__(
        self,
        root: str,
        subset: Subset = "test",
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
        self.root = Path(root)
        self.source = source
        self.target = target
        self._shares = TextShares("ParallelFolder", train, val, test, seed, split_by)
        self._files = _tables_of(self.root)
        self._pairs: dict[str, list[TextPair]] = {}
        super().__init__(
            list(self._files),
            subset,
            preprocessing,
            target_preprocessing,
            metric,
            meta_val=meta_val,
            meta_test=meta_test,
            fractions=fractions,
            seed=seed,
            noun="table",
            place=writable(root),
            validated=val > 0,
        )

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

    def parts(self, name: str, draw: int) -> Parts:
        """The pairs of a table, divided; it is read at its first use."""
        if name not in self._pairs:
            rows = read_pairs(self._files[name], None, self.source, self.target)
            self._pairs[name] = distinct_pairs(rows, writable(str(self._files[name])))
        return self._shares.deal(self._pairs[name])


def _tables_of(root: Path) -> dict[str, Path]:
    """The tables in a folder by their names without ending."""
    place, wanted = writable(str(root)), ", ".join(SUFFIXES_OF_TABLES)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder '{place}': give one with a table ({wanted}) for each pair.")
    found: dict[str, Path] = {}
    for file in files_in(root, SUFFIXES_OF_TABLES):
        if not is_text(file.name):
            raise ValueError(f"The name of '{writable(file.name)}' in '{place}' is not UTF-8: rename it.")
        if file.stem in found:
            raise ValueError(f"'{place}' has two tables '{printable(file.stem)}': give each a name of its own.")
        found[file.stem] = file
    if len(found) < 2:
        only = [f"one table only, '{printable(name)}'" for name in found] or [f"no tables ({wanted})"]
        raise ValueError(f"'{place}' has {only[0]}: give two or more, or take ParallelTask for one.")
    return found
