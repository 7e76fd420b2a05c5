"""The words of the verb ``predict``, and predictions without Lightning, whose import takes two seconds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from lit_metanas.cli.configuration_files import with_lists
from lit_metanas.cli.errors import UsageError

if TYPE_CHECKING:
    from lit_metanas.kinds.read_examples import ReadExamples
    from lit_metanas.training.export.exported_program import Exported
    from lit_metanas.training.export.prediction_table import ReadBatch

_Made = TypeVar("_Made")

_DIRECTORY, _OUTPUT, _EXAMPLES, _KIND = "--model.directory", "--model.output", "--data.examples", "--data.kind"
_PLAIN = {_DIRECTORY: "", _OUTPUT: "predictions.csv", _EXAMPLES: "", _KIND: "images", "--data": "NewExamples"}
"""The keys of a prediction for which no Trainer is needed, with their defaults."""


def predict_plainly(args: list[str]) -> bool:
    """Predict by a plain loop; returns whether the words name no more than a network, examples and an output."""
    given = _plain_values(with_lists(with_examples(["predict", *args]), "predict")[1:])
    if given is None:
        return False
    from lit_metanas.io.allocator import torch_threads
    from lit_metanas.kinds.read_examples import in_batches, read_new_examples
    from lit_metanas.training.export.prediction_table import PredictionTable

    with ExitStack() as held:
        read = _made("data", lambda: read_new_examples(json.loads(given[_EXAMPLES]), given[_KIND], held))
        table = _made("model", lambda: PredictionTable(given[_DIRECTORY], given[_OUTPUT]))
        with torch_threads(1):  # as the Trainer has
            batches = [table.predict(batch) for batch in in_batches(read.examples)]
        rows = [row for batch in batches for row in batch.rows]
        unreadable = [reason for batch in batches for reason in batch.unreadable]
        table.report_unreadable(unreadable, len(rows))
        table.write(rows)
        if table.output is not None and (said := _score(table.exported, read, given[_KIND], batches)):
            print(said)
    if unreadable or read.unreadable:
        raise SystemExit(1)
    return True


def _score(exported: Exported, read: ReadExamples, kind: str, batches: Sequence[ReadBatch]) -> str:
    """How good the network is on those examples that have labels; empty without any."""
    from lit_metanas.kinds.read_examples import in_batches, labels_of_new
    from lit_metanas.objectives.regression import Regression

    found = [batch.found for batch in batches if not isinstance(batch.found, list) and batch.rows]
    if not found:  # of texts that are written
        return ""
    labels = labels_of_new(read, kind, exported.classes, numbers=isinstance(exported.objective, Regression))
    parts = zip(batches, in_batches(labels), strict=True)
    own = [part[place] for batch, part in parts for place in batch.kept]
    if not any(own):
        return ""
    import torch

    from lit_metanas.comparisons.measures.labelled_predictions import describe_predictions  # loads torchmetrics

    return describe_predictions(exported.objective, exported.classes, torch.cat(found), own)


def _plain_values(words: Sequence[str]) -> dict[str, str] | None:
    """The value of each key of a plain prediction; None if there are other words, or one is missing."""
    given, rest = dict(_PLAIN), list(words)
    while rest:
        key, equals, value = rest.pop(0).partition("=")
        if not equals and rest:
            value = rest.pop(0)
        if key not in given or not value or (value.startswith("-") and len(value) > 1):
            return None
        given[key] = value
    paths = None
    with suppress(ValueError):
        paths = json.loads(given[_EXAMPLES])
    are_paths = isinstance(paths, list) and all(isinstance(path, str) for path in paths)
    if not given[_DIRECTORY] or not are_paths or given["--data"] != _PLAIN["--data"]:
        return None
    return given


def _made(key: str, make: Callable[[], _Made]) -> _Made:
    """What is made; a refusal becomes a UsageError with the key of what is refused, as the Trainer's parser has it."""
    try:
        return make()
    except (ValueError, FileNotFoundError) as error:
        if getattr(error, "strerror", None):  # the operating system's sentence, not ours
            raise
        raise UsageError(f"'{key}': {error}") from error


def with_examples(args: list[str]) -> list[str]:
    """``predict EXPORTED PATH ... [--csv]`` with their keys."""
    if args[:1] != ["predict"]:
        return args
    # At the top each verb would pay for it.
    from lit_metanas.training.export.prediction_table import STANDARD_OUTPUT, example_words

    kind, args = _own_kind(args)
    words = [word for word in args if word != "--csv"]
    bare = list(takewhile(lambda word: not word.startswith("-") or word == STANDARD_OUTPUT, words[1:]))
    rest = words[1 + len(bare) :]
    keys = {word.partition("=")[0] for word in rest}
    if "--csv" in args:
        if "--model.output" in keys:
            raise UsageError("--csv prints what --model.output writes: give one of the two.")
        rest.append(f"--model.output={STANDARD_OUTPUT}")
    if bare[1:] or any(map(os.path.isdir, bare)):
        folder, *paths = bare
        if not paths and any(key.startswith(("--data", "-c", "--config")) for key in keys):
            bare = ["--model.directory", folder]
        else:
            bare = example_words(folder, paths, kind)
    return ["predict", *bare, *rest]


def _own_kind(words: list[str]) -> tuple[str | None, list[str]]:
    """The kind of data of another package that ``predict --kind`` is to import, and the other words."""
    place = next((place for place, word in enumerate(words) if word.partition("=")[0] == "--kind"), None)
    if place is None:
        return None, words
    value, rest = words[place].partition("=")[2], [*words[:place], *words[place + 1 :]]
    if not value and place < len(rest):
        value = rest.pop(place)
    if not value:
        raise UsageError("--kind has no value: give the path of a class, such as graphs.Graphs.")
    from lit_metanas.kinds.kind import kind_named  # other verbs do without

    find_own_modules()
    kind_named(value)
    return value, rest


def find_own_modules() -> None:
    """Let the working folder be a place for modules: the last one, so that its files hide none that are installed."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
