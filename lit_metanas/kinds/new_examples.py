"""New examples for an exported network, without labels; apart from what reads them, which loads no Lightning."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from lit_metanas.kinds.read_examples import EXAMPLES_A_BATCH, in_batches, read_new_examples


class NewExamples(LightningDataModule):
    r"""New examples in batches, each with its name in the table of predictions.

    Args:
        examples: a file or a folder, or several of these; ``-`` is standard input. A folder stands for all files of the
            kind in it and its sub-folders. Texts are the lines of text files, whole files of a folder, or a table's
            column that is called ``text`` or alike; rows are those of tables.
        kind: what they are: images, sounds, texts, rows, the sources of ``pairs``, or ``questions`` with their
            passages; or the path of a class for a kind of another package, such as ``graphs.Graphs``.
        batch_size: examples a batch.

    Attributes:
        examples: names and examples, in the order in which they are predicted.
        unreadable: why files were left out, as a warning says, too; a single file that cannot be read is refused.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no such kind or it reads no new examples, there are none, a file is malformed, or
            ``batch_size`` is below 1.

    Example:
        >>> from pathlib import Path
        >>> from lit_metanas.kinds import NewExamples
        >>> _ = Path("new.csv").write_text("height,age\n1.8,20\n1.6,\n")
        >>> NewExamples("new.csv", "rows").examples
        [('line 2', {'height': '1.8', 'age': '20'}), ('line 3', {'height': '1.6', 'age': ''})]
    """

    def __init__(self, examples: str | list[str], kind: str = "images", batch_size: int = EXAMPLES_A_BATCH) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"NewExamples: batch_size = {batch_size} must be at least 1.")
        paths = [examples] if isinstance(examples, str) else list(examples)
        read = read_new_examples(paths, kind)
        self.examples, self.unreadable = read.examples, read.unreadable
        self.batch_size = batch_size

    def predict_dataloader(self) -> DataLoader[list[tuple[str, Any]]]:
        """Return a loader of lists of names and examples."""
        batches: Any = in_batches(self.examples, self.batch_size)
        return DataLoader(batches, batch_size=None, collate_fn=list)
