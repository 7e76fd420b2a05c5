"""Data bases of studies, edited in every table: a search that goes on, or one sentence."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from fuzz_tools import CASES, VALUES, Case, Contents, cases, edited, emptied, ending
from hypothesis import given
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from query_toys import SPACE, search

from lit_metanas.records import Budget
from lit_metanas.searchers import MetaSampler, RegularisedEvolution
from lit_metanas.searchers.query.study import open_storage, record_of

SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=0),
    "TPE": lambda: TPESampler(seed=0, n_startup_trials=2),
    "evolution": lambda: RegularisedEvolution(population=3, sample=2, seed=0),
    "meta": lambda: MetaSampler(space=SPACE, first=2, seed=0),
}

JSON = ("trial_user_attributes", "trial_system_attributes", "study_user_attributes", "study_system_attributes")

SCALARS: list[Any] = [value for value in VALUES if isinstance(value, float | str | int) and str(value).isprintable()]
SCALARS = [value for value in SCALARS if not isinstance(value, int) or abs(value) < 2**63]
STATES = ["COMPLETE", "FAIL", "RUNNING", "WAITING", "PRUNED", "FINITE", "INF_POS"]
SCALARS += [None, b"bytes", "2020-01-01 00:00:00", *STATES]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """The data base of a search by each sampler."""
    made = Contents()
    for name, sampler in SAMPLERS.items():
        file = tmp_path_factory.mktemp("kept") / "studies.db"
        search(storage=f"sqlite:///{file}", budget=Budget(queries=6), sampler=sampler())
        made[name] = file.read_bytes()
    return made


def parsed(text: object) -> object:
    """A JSON text's value; None where an earlier change has left no such text."""
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError):
        return None


def change(random: Case, connection: sqlite3.Connection) -> None:
    """Change a row, remove one, or lay something beside the tables."""
    tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    filled = [table for table in tables if connection.execute(f"select count(*) from {table}").fetchone()[0]]
    table = random.choice([*filled, *(name for name in (*JSON, "trials", "trial_values") if name in filled)])
    columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
    rows = [row for (row,) in connection.execute(f"select rowid from {table}")]
    if not rows:
        return
    row = random.choice(rows)
    kind = random.choice(["value", "value", "json", "json", "drop", "copy", "schema"])
    try:
        if kind == "json" and "value_json" in columns:
            (text,) = connection.execute(f"select value_json from {table} where rowid = ?", (row,)).fetchone()
            document, _ = edited(random, {"it": parsed(text)})
            text = json.dumps(document.get("it")) if random.randint(0, 9) else random.choice(["[" * 10**5, "{"])
            connection.execute(f"update {table} set value_json = ? where rowid = ?", (text, row))
        elif kind == "drop":
            connection.execute(f"delete from {table} where rowid = ?", (row,))
        elif kind == "copy":
            names = ", ".join(columns[1:])
            connection.execute(f"insert into {table} ({names}) select {names} from {table} where rowid = ?", (row,))
        elif kind == "schema":
            changes = [
                f"alter table {table} rename to other",
                f"alter table {table} drop column {columns[-1]}",
                f"create trigger t after insert on {table} begin delete from {table}; end",
                f"create view v as select * from {table}",
                "pragma user_version = 7",
                "pragma journal_mode = wal",
            ]
            connection.execute(random.choice(changes))
        else:
            column = random.choice(columns)
            value = random.choice(SCALARS)
            connection.execute(f"update {table} set {column} = ? where rowid = ?", (value, row))
    except (sqlite3.Error, ValueError, RecursionError):
        pass  # SQLite itself refuses this, or an earlier change has left no JSON


def tampered(random: Case, content: bytes, file: Path) -> None:
    file.write_bytes(content)
    for _ in range(random.randint(1, 2)):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("pragma synchronous = off")
            change(random, connection)


@pytest.mark.parametrize("name", SAMPLERS)
@cases(4, 600)
@given(random=CASES)
def test_a_search_goes_on(name: str, random: Case, kept: Contents, canary: Path) -> None:
    file = emptied(canary) / "studies.db"
    tampered(random, kept[name], file)
    given: dict[str, Any] = {"storage": f"sqlite:///{file}", "budget": Budget(queries=8)}
    ending(lambda: search(**given, sampler=SAMPLERS[name]()).record.best, canary)


@cases(4, 600)
@given(random=CASES)
def test_records_of_studies(random: Case, kept: Contents, canary: Path) -> None:
    file = emptied(canary) / "studies.db"
    tampered(random, kept["random"], file)

    def read() -> None:
        with open_storage(f"sqlite:///{file}") as studies:
            for name in optuna.get_all_study_names(studies):
                record_of(optuna.load_study(study_name=name, storage=studies))

    ending(read, canary)
