"""A kind of data: what claims and reads it, what is searched for it, and which preprocessings there are to choose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from math import inf, prod
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from lit_metanas.inputs.batches import input_size
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.class_folders import files_in, folders_in
from lit_metanas.io.packages import class_named, loaded_subclasses
from lit_metanas.io.text import hint, writable
from lit_metanas.kinds.augmentation import AUGMENTATIONS
from lit_metanas.kinds.file_reading import Source
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.record import RecipeFields, RecipeValue
from lit_metanas.spaces import KernelSpace, SearchSpace, default_space
from lit_metanas.tasks.labels import Groups, Labels
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.task import Task

# The entry points by which other packages offer kinds.
GROUP = "lit_metanas.kinds"

# The kinds of this package, in the order in which they are asked whether they hold given data; each is imported when
# it is needed.
BUILT_IN = {
    "images": "images.image_kind.ImageKind",
    "sounds": "sounds.sound_kinds.SoundKind",
    "transcripts": "sounds.sound_kinds.TranscriptKind",
    "texts": "texts.text_kind.TextKind",
    "rows": "rows.row_kind.RowKind",
    "tables": "rows.row_kind.TextRowKind",
    "series": "series.series_kind.SeriesKind",
    "pairs": "pairs.pair_kind.PairKind",
    "questions": "questions.squad.QuestionKind",
}

# Bytes that the examples may take under any preprocessing, unless they usually take more.
MOST_BYTES = 1 << 30

# Preprocessings to choose from, by label: that of the task comes first. Images have shapes in their place.
Prepared: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class MadeBefore:
    """What made the inputs of meta-trained weights."""

    shape: Shape  # of one input
    inputs: Preprocessing | None
    outputs: Preprocessing | None  # what made the tokens of written texts, if there are such


class Kind(ABC):
    """A kind of data, with all that is asked of it.

    An outside package subclasses it. Users name the class by its path (``kind="package.Graphs"``), or the package
    offers it as an entry point of the group ``lit_metanas.kinds``.

    Attributes:
        name: what users call it.
        noun: what its examples are, in the plural.
        labelled: whether examples have labels, so that there are classes.
        class_files: how the names of files end that lie in a folder for each class; none where data lie otherwise.
        read_files: how the names of files end that are read of a folder.
        new_files: how the names of files end that are read of a folder of new examples, if not ``class_files``.
        piped: the ending of a file as which standard input is read; empty where its lines name files.
        first: labels, by choice or group, of structurally different networks that a search tries first, the best guess
            first; open ones take the first label.
        recipe: the recipe that trainings begin with, where it is not that of ``Recipe``; see ``usual_recipe``.
        searched: fields of the recipe that are searched among other values than usual; see ``searched_fields``.
        features: what linear models are linear in, by the label of ``linear_space``; none has no linear models.
        linear_space: of the linear models, a subclass of ``SolvedModels``.
        most_linear: examples to learn from with which linear models are tried at most.
        linear_view: the preprocessing that these features are of, if it is not the usual one; no network is tried under
            it.
        preprocessing_class: of what makes inputs of its raw examples; None where meta-trained weights do not fix it.
        mirrors: whether a network is also trained on mirrored examples, if these keep their classes.
        averages_linear: whether a linear model is averaged with networks, as measured on a few tasks.
        converts: whether ``convert`` makes another preprocessing of what is in memory.
        own_options: those among ``shape``, ``window`` and ``test_by`` that say how its examples are read; with
            ``shape``, also ``resized`` sets their size.
        member_epochs: epochs that are enough for each network of an ensemble, as measured on a few tasks of images,
            sounds and texts; 0 trains single networks.
        halving: further arguments of ``EvolvingHalving`` in a search, as measured on a few tasks.

    Example:
        >>> from pathlib import Path
        >>> class Lengths(lm.Kind):
        ...     name = "lengths"
        ...     def claims(self, path, group):
        ...         return path.suffix == ".lengths"
        ...     def holds(self, task):
        ...         return task.id == "lengths"
        ...     def read(self, source):
        ...         lines = source.path.read_text().splitlines()
        ...         rows = torch.tensor([[len(line) / 10] for line in lines])
        ...         part = lm.Split(rows, (rows[:, 0] > 1).long())
        ...         return lm.Task("lengths", 2, part, part, part, classes=("short", "long"))
        >>> _ = Path("words.lengths").write_text("a word, a much longer line".replace(", ", chr(10)))
        >>> Lengths().read(lm.kinds.Source(Path("words.lengths"))).shape
        RowShape(numbers=1)
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "examples"
    labelled: ClassVar[bool] = True
    class_files: ClassVar[Collection[str]] = ()
    read_files: ClassVar[Collection[str]] = ()
    new_files: ClassVar[Collection[str]] = ()
    piped: ClassVar[str] = ""
    first: ClassVar[Sequence[Mapping[str, str]]] = ()
    recipe: ClassVar[RecipeFields] = {}
    searched: ClassVar[Mapping[str, Sequence[RecipeValue]]] = {}
    features: ClassVar[Mapping[str, str]] = {}
    linear_space: ClassVar[type[SearchSpace]] = KernelSpace
    most_linear: ClassVar[float] = inf
    linear_view: ClassVar[str] = ""
    preprocessing_class: ClassVar[type[Preprocessing] | None] = None
    mirrors: ClassVar[bool] = False
    averages_linear: ClassVar[bool] = False
    converts: ClassVar[bool] = False
    own_options: ClassVar[Collection[str]] = ()
    member_epochs: ClassVar[int] = 0
    halving: ClassVar[Mapping[str, float]] = {}

    @abstractmethod
    def claims(self, path: Path, group: str | None) -> bool:
        """Whether a file, or a folder without class folders, holds such data.

        Args:
            path: the file or folder.
            group: see ``auto``.

        Raises:
            ValueError: it is nearly such data, and lacks something.
        """

    @abstractmethod
    def holds(self, task: Task) -> bool:
        """Whether a task's examples are of this kind."""

    @abstractmethod
    def read(self, source: Source) -> Task:
        """The task of a path.

        Raises:
            ValueError: the data are malformed.
        """

    def in_memory(
        self,
        examples: Any,
        labels: Labels,
        tested: tuple[Any, Any],
        *,
        group: Groups | None,
        min_per_class: int | None,
        targets: Targets | None,
        prepared: Any,
    ) -> Task | None:
        """The task of labelled examples in memory, where a user names the kind; None goes by their shape.

        Args:
            examples: as a user has them.
            labels: of each.
            tested: examples and labels of the test part; None twice draws it.
            group: which examples belong together.
            min_per_class: examples of the smallest class that is kept.
            targets: what labels are learned as; None looks at them.
            prepared: what makes inputs of the examples; None is the usual one.

        Raises:
            ValueError: the examples or labels are malformed.
        """
        return None

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """What can be built for a shape of inputs and an objective; by default the space for any input."""
        return default_space(shape)

    def usual_recipe(self, task: Task) -> dict[str, RecipeValue]:
        """The recipe that trainings on a task begin with: ``recipe``, as far as it suits the objective.

        Returns:
            Fields of ``Recipe``.
        """
        found = dict(self.recipe)
        if not task.goal.smooths:
            found.pop("label_smoothing", None)
        if not task.goal.augmentable:
            found.pop("augmentation", None)
        return found

    def searched_fields(self, objective: Objective) -> dict[str, Sequence[RecipeValue]]:
        """The fields of the recipe that are searched, with the values to choose from."""
        found: dict[str, Sequence[RecipeValue]] = {
            "learning_rate": [3e-3, 1e-2, 3e-2],
            "weight_decay": [1e-3, 1e-2, 1e-1],
        }
        if objective.smooths:
            found["label_smoothing"] = [0.0, 0.1]
        if objective.augmentable:
            found["augmentation"] = list(AUGMENTATIONS)
        return {**found, **self.searched}

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """The preprocessings to choose from; by default there is no choice.

        Args:
            task: as it is usually made.
            source: what it was read of; None where its examples were given in memory.
        """
        return {}

    def convert(self, task: Task, prepared: Any) -> Task:
        """The same examples under another preprocessing, where ``converts``; others have to be read again."""
        raise ValueError(f"The kind '{self.name}' makes inputs of raw examples alone: read them again.")

    def resized(self, task: Task, side: int) -> Task:
        """The examples of a task, which are in memory, with sides of so many pixels, where it has ``shape``."""
        raise ValueError(f"Data of the kind '{self.name}' have no 'shape': leave it out.")

    def as_before(self, made: MadeBefore, place: str) -> Any:
        """What makes inputs as those of meta-trained weights were made; None leaves it open.

        By default that is theirs, where they are of the ``preprocessing_class``.

        Args:
            made: what made these.
            place: where the examples are from, for messages.

        Raises:
            ValueError: the weights are for other examples.
        """
        if self.preprocessing_class is None or made.inputs is None:
            return None
        return self.preprocessing_class.checked(made.inputs, writable(place))

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """New examples to predict, as the preprocessing takes them, each with its name in tables.

        By default they are the files themselves, where a class has a folder of files.

        Args:
            paths: of files; those of folders have been found.

        Raises:
            FileNotFoundError: there is no such path.
            ValueError: a file is malformed; by default, where examples are no files.
        """
        if not self.class_files:
            raise ValueError(f"The kind '{self.name}' reads no new examples: give them by a data module (--data).")
        found = [*map(Path, paths)]
        if absent := [file for file in found if not file.exists()]:
            raise FileNotFoundError(
                f"There is no file or folder '{writable(str(absent[0]))}': give {self.name}, or a folder with some."
            )
        return [(str(file), file) for file in found]

    def new_labels(self, file: Path, classes: Sequence[str], *, numbers: bool) -> list[str]:
        """The labels of the new examples of a file, in their order; none where it has none, as by default.

        Args:
            file: with ``new_examples``.
            classes: names of the classes, or of the numbers to predict.
            numbers: whether numbers are predicted.
        """
        return []

    def lists(self, folder: Path) -> bool:
        """Whether a table in a folder says of files in it, and in its sub-folders, what they are; by default never."""
        return False

    def files_of(self, folder: Path, deep: bool) -> list[Path]:
        """The files that examples of a folder are read of: those of its class folders, or else its own.

        Args:
            folder: of the examples.
            deep: whether class folders have sub-folders of groups.
        """
        inner = [file for each in folders_in(folder) for file in files_in(each, self.read_files, deep)]
        return inner or files_in(folder, self.read_files)

    def caveats(self, task: Task) -> list[str]:
        """Sentences on examples that a person should know of, as they make scores too good; by default none."""
        return []

    def describe(self, task: Task) -> str:
        """What else the announcement of a task says of its examples, such as ``, heard for 5 s``."""
        return ""

    def describe_columns(self, source: Source) -> str:
        """In which columns of a table labels and examples were found, as a sentence; empty where there are none."""
        return ""


@cache  # what is installed is looked up once
def known_kinds() -> tuple[Kind, ...]:
    """The kinds of this package, and those that other packages offer as entry points."""
    offered = [each.value.replace(":", ".") for each in entry_points(group=GROUP)]
    return tuple(map(_made, [*(f"{__package__}.{path}" for path in BUILT_IN.values()), *offered]))


def kind_named(name: str) -> Kind:
    """The kind that a user names: by its name, or by the path of its class."""
    if name in BUILT_IN:
        return _made(f"{__package__}.{BUILT_IN[name]}")
    if "." in name:
        return _made(name)
    known = {kind.name: kind for kind in (*known_kinds(), *_loaded())}
    if name not in known:
        fix = hint(name, known, f"give one of {', '.join(known)}, or the path of a class.")
        raise ValueError(f"There is no kind '{name}': {fix}")
    return known[name]


def kind_of(task: Task, named: str | None = None) -> Kind:
    """The kind of a task's examples, as a user names it, or the first that holds them."""
    if named is not None:
        return kind_named(named)
    for kind in (*_loaded(), *known_kinds()):
        if kind.holds(task):
            return kind
    raise ValueError(f"Task '{task.id}' is of no kind that is known: name it by 'kind'.")


def within_memory(task: Task, prepared: Prepared) -> Prepared:
    """The preprocessings under which the examples of a task take no more memory than usual, or than is allowed."""
    examples = sum(len(part) for part in (task.train, task.val, task.test) if part is not None)

    def size(made: Any) -> int:
        return task.train.inputs.element_size() * examples * prod(input_size(getattr(made, "shape", made)))

    most = max(MOST_BYTES, size(task.shape))
    return {label: one for label, one in prepared.items() if size(one) <= most}


def _made(path: str) -> Kind:
    return class_named(path, Kind, "kind", "graphs.Graphs")()  # type: ignore[type-abstract]


def _loaded() -> Iterator[Kind]:
    """Kinds of other packages that have been imported."""
    for one in loaded_subclasses(Kind):  # type: ignore[type-abstract]
        if not one.__module__.startswith(f"{__package__}."):
            yield one()
