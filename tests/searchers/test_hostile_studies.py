"""Studies that an attacker has written: one sentence, and nothing elsewhere is written to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from query_toys import search

from lit_metanas.io.text import without_passwords
from lit_metanas.records import Budget
from lit_metanas.searchers import QuerySearcher
from lit_metanas.searchers.searcher import settings_of

Change = Callable[[dict[str, Any]], object]


def tamper(file: Path, name: str, value: object, table: str = "trial_user_attributes") -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        words = f"update {table} set value_json = ? where key = ?"
        changed = connection.execute(words, (value if isinstance(value, str) else json.dumps(value), name))
        assert changed.rowcount >= 1


TAMPERED: list[tuple[str, object]] = [
    ("architecture", 3),
    ("architecture", {"x": 3}),
    ("architecture", []),
    ("cost", 3),
    ("cost", {"pounds": 3}),
    ("cost", {"queries": "x"}),
    ("cost", {"queries": -5}),
    ("cost", {"flops": 10**400}),
    ("cost", {"seconds": 10**400}),
    ("fidelity", "x"),
    ("fidelity", [1]),
    ("architecture", "{"),
]


@pytest.mark.parametrize(("name", "value"), TAMPERED)
def test_tampered_notes_get_one_sentence(name: str, value: object, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    search(storage=storage, budget=Budget(queries=3))
    tamper(tmp_path / "studies.db", name, value)
    with pytest.raises(ValueError) as caught:
        search(storage=storage, budget=Budget(queries=5))
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    assert "what cannot be read (its note" in text or "cannot be used (damaged)" in text or "cost is negative" in text


@pytest.mark.parametrize("name", ["settings", "search"])
def test_a_study_of_other_settings_gets_one_sentence(name: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    search(storage=storage, budget=Budget(queries=3))
    tamper(tmp_path / "studies.db", name, 3, table="study_user_attributes")
    if name == "settings":
        with pytest.raises(ValueError, match="was made with another space"):
            search(storage=storage, budget=Budget(queries=5))
    else:
        search(storage=storage, budget=Budget(queries=5))  # written anew by each search


def test_a_link_to_another_data_base_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    search(storage=f"sqlite:///{other}", budget=Budget(queries=3))
    before = other.read_bytes()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "studies.db").symlink_to(other)
    with pytest.raises(ValueError, match=r"cannot be used \(it is a link to another file\): fix that"):
        search(storage=f"sqlite:///{tmp_path / 'run' / 'studies.db'}", budget=Budget(queries=9))
    assert other.read_bytes() == before


def test_passwords_are_shown_nowhere() -> None:
    address = "postgresql+psycopg://me:s3cret@data:5432/studies"
    shown = "postgresql+psycopg://me:***@data:5432/studies"
    assert without_passwords(f"in '{address}' and http://a:b@c") == f"in '{shown}' and http://a:***@c"
    assert without_passwords("a@b: http://c/d@e") == "a@b: http://c/d@e"
    assert "s3cret" not in json.dumps(settings_of(QuerySearcher(storage=address)))
