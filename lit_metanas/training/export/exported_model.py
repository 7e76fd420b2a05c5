"""An exported network as a LightningModule, which a Trainer runs on new examples."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from lit_metanas.training.collectives import gather_lists
from lit_metanas.training.export.prediction_table import PredictionTable, Row


class ExportedModel(LightningModule):
    """Runs an exported network on new images, sounds, texts or rows; prints what it says of each and writes a file.

    Of a network that tells classes apart these are the class of each, and in the file all probabilities, too. Of others
    they are what the objective is about: numbers, texts such as translations, or answers. Files that cannot be read
    are left out, and named in a warning.

    Args:
        directory: the folder of an exported network, or one in which it is the only one.
        output: the file to write, CSV, or JSON if it is so named; it replaces earlier predictions, and nothing else.
            With ``-`` the table is printed as CSV, and nothing else is.

    Attributes:
        unreadable: why each file of the last prediction was left out.

    Raises:
        ValueError: there is no exported network, or several; the output is of another kind, or a file is there already
            that holds no predictions.

    Example:
        >>> space = lm.LayeredSpace(depths=(1,), widths=(4,))
        >>> architecture = space.sample(torch.Generator())
        >>> network = space.child(architecture, (1, 8, 8), way=2)
        >>> lm.export_child(network, "out", architecture=architecture, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> model = lm.training.ExportedModel("out")
        >>> model.exported.classes
        ('cat', 'dog')
    """

    def __init__(self, directory: str, output: str = "predictions.csv") -> None:
        super().__init__()
        self._table = PredictionTable(directory, output)
        # Not a submodule: an exported program has no training mode, and stays on the CPU.
        self.exported = self._table.exported
        self.unreadable: list[str] = []
        self._batches: list[tuple[int, list[Row], list[str]]] = []  # place, rows, why files were left out

    def on_predict_start(self) -> None:
        """Forget earlier examples."""
        self._batches = []
        self._table.begin()

    def predict_step(self, batch: list[tuple[str, Any]], batch_idx: int) -> Tensor | list[str]:
        """Probabilities, shape ``(n, classes)``, of a batch of names and examples; or what is said.

        Raises:
            ValueError: a row is malformed, or the network is for another kind of example.
        """
        read = self._table.predict(batch)
        place = batch_idx * self.trainer.world_size + self.trainer.global_rank  # as batches go round the processes
        self._batches.append((place, read.rows, read.unreadable))
        return read.found

    def on_predict_end(self) -> None:
        """Print what was found and write the file, of the examples of all processes, on the first one."""
        batches = sorted(gather_lists(self._batches), key=lambda batch: batch[0])
        rows = [row for _, own, _ in batches for row in own]
        self.unreadable = [reason for _, _, reasons in batches for reason in reasons]
        self._table.report_unreadable(self.unreadable, len(rows))
        if self.trainer.is_global_zero:
            self._table.write(rows)
