"""The verb ``predict``: an exported network on new examples."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from lit_metanas.io.allocator import torch_threads
from lit_metanas.kinds.read_examples import (
    ReadExamples,
    in_batches,
    labels_of_new,
    read_new_examples,
    report_unreadable,
)
from lit_metanas.objectives.regression import Regression
from lit_metanas.training.export.exported_program import Exported
from lit_metanas.training.export.network_description import exported_kind
from lit_metanas.training.export.prediction_table import PredictionTable, ReadBatch, predict_command


def predict(model: str, examples: list[str], kind: str | None = None, output: str = "predictions.csv") -> None:
    """Print what an exported network says of new examples, and write the whole table; ``-`` prints the table alone.

    Raises:
        SystemExit: files were left out, which a warning has named; the exit code is 1.
        ValueError: there is no exported network, or several, or none for such examples; or no example can be read.
    """
    own = kind or exported_kind(model)
    if own == "examples":
        raise ValueError(
            f"'{model}' does not tell how inputs are made of files, since its task had no preprocessing: call "
            "`lm.load` in Python, and give it inputs."
        )
    if not examples:
        command = " ".join(["lit-metanas", *predict_command(model, kind)])
        raise ValueError(f"There are no new {own}: give them right after the folder, as in `{command}`.")
    with ExitStack() as held, torch_threads(1):
        read = read_new_examples(examples, own, held)
        table = PredictionTable(Path(model), output)
        batches = [table.predict(batch) for batch in in_batches(read.examples)]
        rows = [row for batch in batches for row in batch.rows]
        unreadable = [reason for batch in batches for reason in batch.unreadable]
        report_unreadable(unreadable, len(rows), table.exported.noun)
        table.write(rows)
        if table.output is not None and (said := _score(table.exported, read, own, batches)):
            print(said)
    if unreadable or read.unreadable:
        raise SystemExit(1)


def _score(exported: Exported, read: ReadExamples, kind: str, batches: Sequence[ReadBatch]) -> str:
    """How good the network is on those examples that have labels; empty without any."""
    found = [batch.found for batch in batches if not isinstance(batch.found, list) and batch.rows]
    if not found:  # of texts that are written
        return ""
    labels = labels_of_new(read, kind, exported.classes, numbers=isinstance(exported.objective, Regression))
    own = [part[place] for batch, part in zip(batches, in_batches(labels), strict=True) for place in batch.kept]
    if not any(own):
        return ""
    from lit_metanas.comparisons.tested_part import describe_predictions  # loads torchmetrics

    return describe_predictions(exported.objective, exported.classes, torch.cat(found), own)
