"""The pool's members, as its containers start them, on a PostgreSQL server."""

import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from sqlalchemy import make_url

from lit_metanas.records import read_results

ROOT = Path(__file__).parents[2]
POOL = ROOT / "docker" / "pool.sh"
SMALL = ["--data.tasks.tasks=1", "--data.tasks.train=10", "--data.tasks.val=10", "--data.tasks.test=10"]
SMALL += ["--model.recipe.epochs=2", "--model.flops=null", "--model.queries=4"]


@pytest.fixture
def variables(postgres_database, tmp_path):
    """The environment of a pool's members, with an empty data base; the password lies in a file."""
    url = make_url(postgres_database)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "lit-metanas").write_text(f'#!/usr/bin/env bash\nexec "{sys.executable}" -m lit_metanas "$@"\n')
    (programs / "lit-metanas").chmod(0o755)
    (tmp_path / "password").write_text(url.password or "unused")
    folders = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("PG")},
        "PGHOST": str(url.query.get("host", url.host)),
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "postgres",
        "PGDATABASE": url.database,
        "PASSWORD_FILE": str(tmp_path / "password"),
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "RUNS": str(tmp_path / "runs"),
        "OMP_NUM_THREADS": "1",
    }


def healthy(variables):
    return subprocess.run([POOL, "healthy"], env=variables, capture_output=True, timeout=600).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_workers_share_a_study(variables, tmp_path):
    assert healthy(variables)
    assert not healthy({**variables, "PGDATABASE": "none"})
    command = ["timeout", "-k", "5", "600", POOL, "worker", *SMALL]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    # One has the number of its container: its name, in hexadecimal digits.
    own = [{"WORKER": "7"}, {"HOSTNAME": "00000000001f"}]
    script = POOL.read_text()
    assert "$((16#$HOSTNAME))" in script
    workers = [subprocess.Popen(command, env={**variables, **each}, **quiet) for each in own[:1]]
    named = ["timeout", "-k", "5", "600", "bash", "-c", f'HOSTNAME=00000000001f; source "{POOL}" worker "$@"', "pool"]
    workers.append(subprocess.Popen([*named, *SMALL], env=variables, **quiet))
    outputs = [worker.communicate(timeout=650)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)
    rows = [read_results(tmp_path / "runs" / f"worker-{number}" / "results.json") for number in (7, 31)]
    assert rows[0][0].architecture == rows[1][0].architecture
    storage = optuna.storages.RDBStorage(
        f"postgresql+psycopg://{variables['PGUSER']}@/{variables['PGDATABASE']}?host={variables['PGHOST']}"
    )
    (study,) = optuna.study.get_all_study_summaries(storage)
    spent = [trial for trial in optuna.load_study(study_name=study.study_name, storage=storage).trials if trial.values]
    assert sum(trial.user_attrs["cost"]["queries"] for trial in spent) == 4
    storage.remove_session()
    storage.engine.dispose()
    for file in (tmp_path / "runs").rglob("config*.yaml"):
        assert (variables["PGHOST"] in file.read_text()) is False
