"""The verb ``records``: searches move between an Optuna storage and files of records."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import make_url

from lit_metanas.cli.errors import LONGEST_REASON
from lit_metanas.io.files import own_path
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.records.record import SearchRecord
from lit_metanas.records.record_lines import read_record_lines, write_record_lines
from lit_metanas.searchers.query.study import open_storage, quiet_optuna
from lit_metanas.searchers.query.study_record import add_study, record_of
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace


def records(
    storage: str,
    write: Path | None = None,
    read: list[Path] | None = None,
    study: str = "",
    prefix: str = PREFIX,
    space: ChoiceSpace | None = None,
) -> None:
    """Write the studies of an Optuna storage to a file of records, or read files of records into a storage as studies.

    Args:
        storage: address of Optuna's storage, such as ``sqlite:///studies.db``.
        write: a file that gets a line for each study; it is replaced.
        read: files such as the ``records.jsonl`` of a search; each line becomes a study with finished trials.
        study: with ``write``, only studies whose names begin so; with ``read``, what the new names begin with.
        prefix: of the parameters of anyone's studies that are choices; it may be empty. Their task is their user
            attribute ``task``, or their name.
        space: the one whose choices the parameters of anyone's studies are; other parameters do not matter. None takes
            all but floats.
    """
    if (write is None) == (not read):
        raise ValueError("Give either --write, a file for the studies, or --read, files of records for the storage.")
    open_database: Callable[[str], RDBStorage] = RDBStorage
    if write is not None:
        own_path(write, "write")
        open_database = _existing
    with quiet_optuna(), open_storage(storage, open_database) as studies:
        assert studies is not None
        if write is not None:
            found = _studies(studies, study, prefix, space)
            write_record_lines(write, found)
            place = str(write)
        else:
            found = [record for path in read or () for record in read_record_lines(path, space)]
            for name, record in zip(_names(found, study, studies), found, strict=True):
                add_study(record, name, studies, prefix)
            place = "the storage"
    tasks = number_of(len({record.task_id for record in found}), "task")
    trials = number_of(sum(len(record.trials) for record in found), "trial")
    print(f"{number_of(len(found), 'search')} of {tasks}, {trials}, are in {place}.")


def _existing(address: str) -> RDBStorage:
    url = make_url(address)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise FileNotFoundError(f"There is no file '{url.database}': give the storage that a search has kept.")
    return RDBStorage(address)


def _studies(storage: BaseStorage, begin: str, prefix: str, space: ChoiceSpace | None) -> list[SearchRecord]:
    """The studies whose names begin so, as records; a warning names those that cannot be written."""
    known = _study_names(storage)
    names = [name for name in known if name.startswith(begin)]
    if not names:
        wanted = f" whose name begins with '{begin}'" * bool(begin)
        has = first_few([f"'{name}'" for name in known]) or "none"
        raise ValueError(f"The storage has no study{wanted}: it has {has}.")
    found: list[SearchRecord] = []
    refused: list[str] = []
    for name in names:
        try:
            found.append(record_of(optuna.load_study(study_name=name, storage=storage), space, prefix=prefix))
        except ValueError as error:
            refused.append(printable(str(error), LONGEST_REASON).rstrip("."))
    if not found:
        raise ValueError(f"The storage has no study that can be written: {refused[0]}.")
    for reason in refused:
        warnings.warn(f"Left out: {reason}.", stacklevel=4)
    return found


def _study_names(storage: BaseStorage) -> list[str]:
    """The names of all studies; a damaged storage may have some that are no texts, which cannot be asked for."""
    names: list[object] = list(optuna.get_all_study_names(storage))
    texts = [name for name in names if isinstance(name, str)]
    if lost := len(names) - len(texts):
        warnings.warn(f"Left out: {number_of(lost, 'study')} whose name is no text.", stacklevel=5)
    return texts


def _names(found: Iterable[SearchRecord], begin: str, storage: BaseStorage) -> list[str]:
    """A name for each new study, of the parts that a search gives its own; equal ones are numbered."""
    taken = set(_study_names(storage))
    number: Counter[str] = Counter()
    new = []
    for record in found:
        parts = (begin, record.method, record.task_id, record.space, f"seed {record.seed}")
        name = "/".join(filter(None, parts))
        number[name] += 1
        if number[name] > 1:
            name += f" ({number[name]})"
        if name in taken:
            what = "give another storage, or --study, a prefix for the new names."
            raise ValueError(f"The storage already has a study '{name}': {what}")
        new.append(name)
    return new
