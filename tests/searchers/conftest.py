"""Toys that subprocesses import, too, and a PostgreSQL server."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, make_url, text

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian's packages put the server's programs."""


@pytest.fixture
def quiet_optuna():
    """Studies that say nothing but errors."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


@pytest.fixture(scope="session")
def postgres(request):
    """The address of a server: the one that is given, or else one that is started here if it is installed."""
    if (given := request.config.getoption("--postgres")) is not None:
        yield given
        return
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = os.pathsep.join([os.environ["PATH"], *map(str, sorted(DEBIAN.glob("*/bin")))])
    initdb, pg_ctl = (shutil.which(name, path=programs) for name in ("initdb", "pg_ctl"))
    if initdb is None or pg_ctl is None:
        pytest.skip("no PostgreSQL: install it, or give --postgres URL of a server")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres': give --postgres URL of a server")
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        if user:
            shutil.chown(folder, user)

        def run(*command):
            variables = {**os.environ, "PGCTLTIMEOUT": "600"}
            subprocess.run(command, check=True, user=user, cwd=folder, env=variables, stdout=subprocess.DEVNULL)

        data = f"{folder}/data"
        run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        run(pg_ctl, "-D", data, "-w", "-l", f"{folder}/log", "-o", f"-c listen_addresses= -k {folder} -F", "start")
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        run(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop")


@pytest.fixture
def postgres_database(postgres):
    """The address of an empty data base on that server."""
    name, engine = f"test_{uuid.uuid4().hex}", create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
