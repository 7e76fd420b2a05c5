"""Studies that an attacker has written: one sentence, and nothing elsewhere is written to."""

import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from query_toys import search
from sqlalchemy import event

from lit_metanas.estimators.estimator import Query
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import without_passwords
from lit_metanas.records import Budget, Cost, SearchRecord
from lit_metanas.records.record import FailedWorkError
from lit_metanas.searchers import QuerySearcher
from lit_metanas.searchers.query.ledger import Ledger
from lit_metanas.searchers.query.study import WorkerGroup, open_storage


def tamper(file: Path, name: str, value: object, table: str = "trial_user_attributes") -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        words = f"update {table} set value_json = ? where key = ?"
        changed = connection.execute(words, (value if isinstance(value, str) else json.dumps(value), name))
        assert changed.rowcount >= 1


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The data base of a search that has asked for three architectures."""
    file = tmp_path_factory.mktemp("kept") / "studies.db"
    search(storage=f"sqlite:///{file}", budget=Budget(queries=3))
    return file.read_bytes()


@pytest.fixture
def storage(kept: bytes, tmp_path: Path) -> str:
    (tmp_path / "studies.db").write_bytes(kept)
    return f"sqlite:///{tmp_path / 'studies.db'}"


TAMPERED: list[tuple[str, object]] = [
    ("architecture", {"x": 3}),
    ("architecture", "{"),
    ("cost", {"pounds": 3}),
    ("cost", {"seconds": 10**400}),
    ("cost", {"queries": -3}),
]


@pytest.mark.parametrize(("name", "value"), TAMPERED)
def test_tampered_notes_get_one_sentence(name: str, value: object, storage: str, tmp_path: Path) -> None:
    tamper(tmp_path / "studies.db", name, value)
    with pytest.raises(ValueError) as caught:
        search(storage=storage, budget=Budget(queries=5))
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    assert "that cannot be read (its note" in text or "cannot be used (damaged)" in text or "cost is negative" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("reserved", {"turn": 1}), ("reserved", {"turn": 1, "queries": -5, "flops": 0, "architecture": {}, "recipe": {}})],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_tampered_notes_among_workers_get_one_sentence(name: str, value: object) -> None:
    study = optuna.create_study()
    trial = study.ask()
    trial.set_user_attr(name, value)
    study.tell(trial, state=TrialState.FAIL)
    group, ledger, query = WorkerGroup(study, study._storage, 60), Ledger(Budget(), SearchRecord("t")), Query.of({}, {})
    words = r"^Trial 0 has attributes that cannot be read \(.*\): give another storage, or another name in 'study'\.$"
    with pytest.raises(ValueError, match=words):
        group.reserve(study.ask(), query, Cost(), ledger)


def test_a_link_to_another_data_base_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    search(storage=f"sqlite:///{other}", budget=Budget(queries=3))
    before = other.read_bytes()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "studies.db").symlink_to(other)
    with pytest.raises(ValueError, match=r"cannot be used \(it is a link to another file\): fix that"):
        search(storage=f"sqlite:///{tmp_path / 'run' / 'studies.db'}", budget=Budget(queries=9))
    assert other.read_bytes() == before


def hot_journal(folder: Path) -> bytes:
    """What a process leaves that is killed while it writes to ``studies.db`` there."""
    killed = (
        "import os, sqlite3\n"
        "connection = sqlite3.connect('studies.db', isolation_level=None)\n"
        "connection.execute('pragma cache_size = 1')\n"
        "connection.execute('begin')\n"
        "connection.execute('create table more as select zeroblob(100000)')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=folder, check=True)
    return (folder / "studies.db-journal").read_bytes()


def test_a_journal_deletes_no_file(storage: str, tmp_path: Path) -> None:
    """SQLite deletes the file that a journal names as the one of several data bases, once it is rolled back."""
    thesis = tmp_path / "thesis"
    thesis.write_text("five years")
    journal, name = hot_journal(tmp_path), os.fsencode(thesis)
    tail = struct.pack(">I", 2**18 + 1) + name + struct.pack(">II", len(name), sum(name))
    (tmp_path / "studies.db-journal").write_bytes(journal + tail + journal[:8])
    with pytest.raises(ValueError, match=r"cannot be used \('.*studies.db-journal' names another file, which would be"):
        search(storage=storage, budget=Budget(queries=5))
    assert thesis.read_text() == "five years"
    (tmp_path / "studies.db-journal").write_bytes(journal)
    search(storage=storage, budget=Budget(queries=5))
    assert not (tmp_path / "studies.db-journal").exists()


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to, lambda path, _: os.mkfifo(path)])
def test_a_file_beside_a_data_base_is_no_link(
    suffix: str, link: Callable[[Path, Path], None], storage: str, tmp_path: Path
) -> None:
    thesis = tmp_path / "thesis"
    thesis.write_bytes(b"\0five years")
    link(tmp_path / f"studies.db{suffix}", thesis)
    with pytest.raises(ValueError, match=rf"studies.db{suffix}' is a link or not a regular file"):
        search(storage=storage, budget=Budget(queries=5))
    assert thesis.read_bytes() == b"\0five years"


ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select i as a, i as b, i as c, i as d from n"


@pytest.mark.parametrize(
    "statement",
    [
        f"create view trial_user_attributes as {ENDLESS}",
        "create trigger more after insert on trials begin delete from studies; end",
        "create virtual table more using fts5(text)",
    ],
)
def test_a_data_base_holds_tables_alone(statement: str, storage: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
        connection.execute("alter table trial_user_attributes rename to old") if "view" in statement else None
        connection.execute(statement)
    with pytest.raises(ValueError, match=r"cannot be used \(it does more than hold tables\): fix that"):
        search(storage=storage, budget=Budget(queries=5))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("trial_params", "distribution_json", '{"name": "CategoricalDistribution", "attributes": {"choices": 3}}'),
        ("trial_params", "param_name", None),
        ("trials", "state", "DREAMING"),
        ("trial_user_attributes", "value_json", "[" * 100_000),
    ],
)
def test_other_values_in_a_table_get_one_sentence(
    table: str, column: str, value: object, storage: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
        connection.execute(f"update {table} set {column} = ?", (value,))
    with pytest.raises(ValueError) as caught:
        search(storage=storage, budget=Budget(queries=5))
    words = (f"{tmp_path / 'studies.db'}' cannot be used (", "value is no", "name of a parameter is no text")
    assert any(each in str(caught.value) for each in words)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_passwords_are_shown_nowhere() -> None:
    address = "postgresql+psycopg://me:s3cret@data:5432/studies"
    shown = "postgresql+psycopg://me:***@data:5432/studies"
    assert without_passwords(f"in '{address}' and http://a:b@c") == f"in '{shown}' and http://a:***@c"
    assert without_passwords("a@b: http://c/d@e") == "a@b: http://c/d@e"
    assert "s3cret" not in json.dumps(settings_of(QuerySearcher(storage=address)))


def test_a_full_disk_is_no_wrong_storage(storage: str) -> None:
    def connect(address: str) -> RDBStorage:
        opened = RDBStorage(address)
        opened.engine.dispose()
        event.listen(opened.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
        return opened

    def fill() -> None:
        with open_storage(storage, connect) as opened:
            study = optuna.create_study(storage=opened)
            for place in range(1000):
                study.set_user_attr(str(place), "x" * 2000)

    with pytest.raises(FailedWorkError, match=r"cannot be used \(.*disk is full"):
        fill()


def test_a_trial_without_its_value_is_named(storage: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
        connection.execute("delete from trial_values")
    with pytest.raises(ValueError, match=r"^Trial 0 has attributes that cannot be read \(its value is not a number\)"):
        search(storage=storage, budget=Budget(queries=5))
