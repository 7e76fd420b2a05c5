"""Sounds as kinds of data: with a label each, or with what is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.class_folders import files_in, folders_in
from lit_metanas.io.text import writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind, Prepared
from lit_metanas.kinds.listed_files import table_of_files
from lit_metanas.kinds.sounds.audio_folders import AudioFolderTask
from lit_metanas.kinds.sounds.log_mel import WINDOW_STEPS, LogMel
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES
from lit_metanas.kinds.sounds.transcripts import TranscriptTask
from lit_metanas.kinds.texts.table_files import read_rows
from lit_metanas.objectives import Objective, Transcription
from lit_metanas.spaces import GridSpace, RocketSpace, SearchSpace, SequenceSpace, UnionSpace, default_space
from lit_metanas.spaces.any_input.rocket_space import LEVELS
from lit_metanas.spaces.union import in_family
from lit_metanas.tasks.task import Task

SOUND_TABLES = (".csv", ".tsv")

# Convolutions along time.
STEP_NET: Mapping[str, str] = in_family(
    "sequence",
    {"operation": "conv_5", "depth": "3", "width": "64", "activation": "ReLU", "dropout": "0.2", "pool": "max",
     "readout": "max", "skip": "residual"},
)  # fmt: skip
# Convolutions of 16, 32, 64 and 64 channels on spectra as images.
SPECTRUM_NET: Mapping[str, str] = in_family(
    "grid",
    {"stem": "conv", "block": "conv", "stages": "4", "depth": "1", "width": "16", "growth": "2_to_4", "down": "max",
     "norm": "batch", "activation": "ReLU", "readout": "flat", "dropout": "0"},
)  # fmt: skip
# Of different structure, those first that did best on validation parts; records name networks of steps before them.
# After 1e11 FLOPs the first has 77.5 to 86.2 % on four folds of environmental sounds, where `STEP_NET` has 75.0 to
# 80.0; on digits of a new speaker that one leads, with 76.2 against 56.6 %.
SOUND_NETWORKS: tuple[Mapping[str, str], ...] = (
    SPECTRUM_NET,
    {**SPECTRUM_NET, "grid.down": "avg", "grid.readout": "average"},
    STEP_NET,
    {**STEP_NET, "sequence.operation": "gru", "sequence.depth": "2"},
    {**SPECTRUM_NET, "grid.width": "32"},
    {**SPECTRUM_NET, "grid.block": "inverted", "grid.stem": "conv_2", "grid.depth": "2", "grid.growth": "1.5",
     "grid.down": "stride", "grid.activation": "SiLU", "grid.readout": "average", "grid.expansion": "4",
     "grid.squeeze": "none", "grid.branch_dropout": "0"},
    {**STEP_NET, "sequence.operation": "sep_conv_7", "sequence.readout": "attention"},
)  # fmt: skip


class SoundKind(Kind):
    """Sounds in a folder for each class, or beside a table of labels."""

    name = "sounds"
    noun = "sounds"
    class_files: ClassVar[Collection[str]] = SOUND_SUFFIXES
    read_files = frozenset({*SOUND_SUFFIXES, *SOUND_TABLES})
    first: ClassVar = SOUND_NETWORKS
    recipe: ClassVar = {
        "learning_rate": 3e-3,
        "weight_decay": 0.1,
        "label_smoothing": 0.1,
        "warmup": 0.1,
        "augmentation": "light",
        "batch_size": 32,
    }
    linear_space = RocketSpace
    preprocessing_class = LogMel
    features: ClassVar = dict.fromkeys(map(str, LEVELS), "fixed convolutions of spectra")
    averages_linear = True
    member_epochs = 60
    own_options: ClassVar[Collection[str]] = ("window",)

    def claims(self, path: Path, group: str | None) -> bool:
        """Sounds beside one table, which has no transcripts, or a table that names sounds."""
        if (transcripts := _has_transcripts(path)) is not None:
            return not transcripts
        return table_of_files(path, SOUND_SUFFIXES) is not None

    def holds(self, task: Task) -> bool:
        """By what made its inputs, where each gets one answer."""
        return isinstance(task.preprocessing, LogMel) and task.goal.scored == "input"

    def read(self, source: Source) -> Task:
        """Of class folders, or of a table of classes, sets of these, or numbers."""
        deep = source.group is not None
        root, table = _root_and_table(source.path, deep)
        tested = (None, None) if source.test is None else _root_and_table(source.test, deep)
        return AudioFolderTask(
            root,
            table,
            source.label,
            features=source.prepared,
            skip_unreadable=True,
            test_root=tested[0],
            test_table=tested[1],
            group=source.group,
            min_per_class=source.least,
            targets=source.targets,
            window=source.window,
        ).make(source.reading)

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Networks of steps, and networks of spectra as images; both hear long sounds window by window."""
        return UnionSpace({"sequence": default_space(shape), "grid": GridSpace()}, window=WINDOW_STEPS)

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """Twice and half as many bands, and windows of twice the length."""
        usual = _features(task)
        return _views(usual, replace(usual, window=2 * usual.window, hop=2 * usual.hop, steps=-(-usual.steps // 2)))

    def lists(self, folder: Path) -> bool:
        """Whether there is one table."""
        return sound_table(folder) is not None

    def files_of(self, folder: Path, deep: bool) -> list[Path]:
        """Of any sub-folder, where a table may name them."""
        if self.lists(folder):
            return files_in(folder, self.read_files, deep=True)
        return super().files_of(folder, deep)

    def describe(self, task: Task) -> str:
        """How much of each is heard."""
        return f", heard for {_features(task).heard}"


class TranscriptKind(SoundKind):
    """Sounds beside a table of what is said in each."""

    name = "transcripts"
    labelled = False
    class_files = ()
    first: ClassVar = ({"operation": "conv_5", "depth": "2"},)
    recipe: ClassVar = {}
    features: ClassVar = {}
    member_epochs = 0
    own_options = ()

    def claims(self, path: Path, group: str | None) -> bool:
        """Sounds beside one table, which has transcripts."""
        return _has_transcripts(path) is True

    def holds(self, task: Task) -> bool:
        """By its objective."""
        return isinstance(task.goal, Transcription)

    def read(self, source: Source) -> Task:
        """Of a table of files and transcripts."""
        return TranscriptTask(
            str(source.path),
            _transcript_table(source.path),
            features=source.prepared,
            test_root=source.test_path,
            test_table=None if source.test is None else _transcript_table(source.test),
            group=source.group,
        )[0]

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Networks with scores for each second step."""
        return SequenceSpace(
            operations=("conv_3", "conv_5", "sep_conv_7", "gru"),
            activations=("ReLU",),
            dropouts=(0.0, 0.2),
            skips=("residual",),
            readouts=("each",),
            stride=2,
        )

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """Twice and half as many bands; longer windows would leave too few steps."""
        return _views(_features(task))


def sound_table(root: Path) -> Path | None:
    """The only table beside the sounds of a folder; None where there are several or none, or no folder."""
    if root.is_dir() and len(tables := files_in(root, SOUND_TABLES)) == 1:
        return tables[0]
    return None


def _has_transcripts(root: Path) -> bool | None:
    """Whether the only table beside the sounds of a folder has transcripts; None where there is no such table."""
    table = sound_table(root)
    if table is None or not files_in(root, SOUND_SUFFIXES):
        return None
    return "transcript" in next(read_rows(table), ("", {}))[1]


def _features(task: Task) -> LogMel:
    assert isinstance(task.preprocessing, LogMel)
    return task.preprocessing


def _views(usual: LogMel, *others: LogMel) -> dict[str, LogMel]:
    """The usual features, those of twice and half as many bands, and others, by what distinguishes them."""
    finer, coarser = replace(usual, bins=2 * usual.bins), replace(usual, bins=max(1, usual.bins // 2))
    return {f"{one.bins} bands, {1000 * one.window:g} ms": one for one in (usual, finer, coarser, *others)}


def _root_and_table(path: Path, deep: bool) -> tuple[str, str | None]:
    """A folder of sounds and the table that names them; None where they lie in class folders."""
    if path.is_file():
        return str(path.parent), str(path)
    table = table_of_files(path, SOUND_SUFFIXES)
    if table is None and not any(files_in(folder, SOUND_SUFFIXES, deep) for folder in folders_in(path)):
        table = sound_table(path)
    return str(path), None if table is None else str(table)


def _transcript_table(root: Path) -> str:
    if (table := sound_table(root)) is None:
        raise ValueError(
            f"'{writable(str(root))}' has not one table (.csv, .tsv) of files and transcripts: put one beside them."
        )
    return str(table)
