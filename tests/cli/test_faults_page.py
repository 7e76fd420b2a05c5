"""The page of faults: its sentences are what the program says."""

import errno
import fnmatch
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from file_kinds import Hostile
from wandb.errors import CommError

from lit_metanas.cli.configuration_files import check_file
from lit_metanas.cli.errors import UsageError, sentence_about
from lit_metanas.comparisons.comparison import read_pair
from lit_metanas.estimators import NASBench201Table
from lit_metanas.io.checkpoints import check_checkpoint
from lit_metanas.io.locks import _in_use
from lit_metanas.kinds.images.image_files import read_image
from lit_metanas.records import SearchRecord, read_results
from lit_metanas.searchers.query.study import open_storage, open_study
from lit_metanas.training.meta_weights import MetaCheckpoint

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"


def rows(page: Path = PAGE) -> dict[str, list[str]]:
    """The further cells of each row of a page's tables, by the first one."""
    lines = [line.strip("|").split("|") for line in page.read_text().splitlines() if line.startswith("| ")]
    return {first.strip(): [cell.strip() for cell in others] for first, *others in lines}


def bad(name: str, content: bytes = b"neither") -> Path:
    path = Path(name)
    path.write_bytes(content)
    return path


def hostile_checkpoint() -> None:
    torch.save({"state_dict": {}, "extra": Hostile()}, "last.ckpt")
    check_checkpoint("last.ckpt")


def damaged_pair() -> None:
    folder = Path("out/children/letters/darts")
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text("{}")
    (folder / "result.json").write_text('{"schema": 1, "resu')
    read_pair(folder, "{}")


def foreign_studies() -> None:
    storage = f"sqlite:///{bad('studies.db')}"
    with open_storage(storage) as opened:
        open_study("s", SearchRecord("s"), storage=opened, settings={})


def system_says(number: int) -> Callable[[], str | None]:
    return lambda: sentence_about(OSError(number, os.strerror(number), "last.ckpt"))


SAID: dict[str, Callable[[], object]] = {
    "a checkpoint is truncated": lambda: check_checkpoint(bad("last.ckpt")),
    "a checkpoint would execute code": hostile_checkpoint,
    "start weights are damaged": lambda: MetaCheckpoint.read(bad("start.ckpt")),
    "`results.json`": lambda: read_results(bad("results.json")),
    "what a search keeps": damaged_pair,
    "an image is damaged": lambda: read_image(bad("cat.png"), (1, 8, 8)),
    "an `.npz` file": lambda: NASBench201Table("cifar10", bad("table.npz")),
    "the data base of studies": foreign_studies,
    "one of several processes dies": lambda: sentence_about(RuntimeError("Connection closed by peer")),
    "memory runs out elsewhere": lambda: sentence_about(MemoryError("no memory")),
    "the disk is full": system_says(errno.ENOSPC),
    "the disk cannot be written to": system_says(errno.EROFS),
    "a configuration is no YAML": lambda: check_file(bad("broken.yaml", b"model: [")),
    "two runs in one directory": lambda: _in_use(Path("out/.fit.lock"), "fit", "trainer.default_root_dir"),
    "Weights & Biases is out of reach": lambda: sentence_about(CommError("no route to host")),
}
"""What brings each sentence about; tests of the other rows' faults assert theirs."""


@pytest.mark.parametrize("fault", SAID)
def test_each_sentence_is_what_the_program_says(fault: str, here: Path) -> None:
    (row,) = [cells for name, cells in rows().items() if name.startswith(fault)]
    sentence = re.match("`((?:[^`]|``)+)`", row[0])
    assert sentence
    try:
        said = SAID[fault]()
    except (ValueError, FileNotFoundError, UsageError) as error:
        said = str(error)
    assert not Path("executed").exists()
    pattern = sentence[1].replace("``", "`").replace("…", "*")
    assert fnmatch.fnmatchcase(str(said), f"{pattern.rstrip('*')}*"), said
