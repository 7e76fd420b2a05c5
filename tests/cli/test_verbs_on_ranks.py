"""`test` and `search` on two processes give what one process gives."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from own_processes import DATA, MODEL, SOURCE, SPACE, command, environment
from tiny import of_class

from lit_metanas.records import read_record_lines

TRAINER = {"accelerator": "cpu", "enable_progress_bar": False}
RESULTS = of_class("ResultsFile", path="{folder}/results.json", method="toy")
FIT = {"model": MODEL, "data": DATA, "trainer": {**TRAINER, "max_epochs": 1}}
METHODS = {"random": of_class("RandomArchitecture"), "darts": of_class("DARTSSearcher", epochs=1, batch_size=6)}
TASKS = of_class("DrawnTasks", source=SOURCE, tasks=3, way=3, train=4, val=4, test=6)
SEARCH = {
    "model": of_class("TargetSearch", space=SPACE, methods=METHODS, recipe={"epochs": 1, "batch_size": 6}, flops=1e6),
    "data": of_class("TargetTaskDataModule", tasks=TASKS),
    "trainer": TRAINER,
}


@pytest.fixture
def verb(here):
    """Runs a verb on some processes, into a folder."""

    def run(name: str, config: dict[str, Any], folder: str, processes: int, *args: str, wait: bool = True) -> Any:
        Path("config.yaml").write_text(yaml.safe_dump(config).replace("{folder}", folder))
        words = [f"--trainer.default_root_dir={folder}", f"--trainer.devices={processes}", *args]
        words += ["--trainer.strategy=ddp"] * (processes > 1)
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        started = command(name, "-c", "config.yaml", *words, seconds=900)
        process = subprocess.Popen(started, env=environment(), text=True, **pipes)
        if not wait:
            return process
        output, errors = process.communicate(timeout=950)
        assert process.returncode == 0, errors
        return output

    return run


def without_time(value: Any) -> Any:
    """A JSON value without what differs from run to run."""
    if isinstance(value, dict):
        own = ("seconds", "hardware", "config")
        return {key: without_time(part) for key, part in value.items() if key not in own}
    return [without_time(part) for part in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_a_test_on_two_processes_gives_the_numbers_of_one(verb):
    verb("fit", FIT, "fit", 1)
    config = {**FIT, "trainer": {**TRAINER, "callbacks": [RESULTS]}}
    said = [verb("test", config, f"test{n}", n, "--ckpt_path=fit/checkpoints/last.ckpt") for n in (1, 2)]
    one, two = (without_time(json.loads(Path(f"test{n}/results.json").read_text())) for n in (1, 2))
    assert one == two
    assert len(json.dumps(one)) > 200
    told = [[line for line in text.splitlines() if line.startswith("test: accuracy ")] for text in said]
    assert (len(told[0]), told[0]) == (1, [line.replace("test2", "test1") for line in told[1]])


@pytest.mark.slow
@pytest.mark.timeout(4000)
def test_a_search_on_two_processes_leaves_the_files_of_one_and_a_second_start_does_nothing(verb):
    for n in (1, 2):
        verb("search", SEARCH, f"search{n}", n, f"--model.init_args.directory=search{n}")
    for name in ("results.json", "architectures.json"):
        one, two = (without_time(json.loads(Path(f"search{n}/{name}").read_text())) for n in (1, 2))
        assert one == two, name
    one, two = ([(a.task_id, a.method) for a in read_record_lines(f"search{n}/records.jsonl")] for n in (1, 2))
    assert one == two
    assert [method for _, method in one] == ["darts"] * 3
    folders = [Path(f"search{n}") for n in (1, 2)]
    first, second = (sorted(p.relative_to(one) for p in (one / "children").rglob("*")) for one in folders)
    assert first == second
    children = [path for path in first if path.name == "weights.pt"]
    assert len(children) == 6
    for path in children:
        one, two = (torch.load(f"search{n}/{path}", weights_only=True) for n in (1, 2))
        assert one.keys() == two.keys()
        assert all(torch.equal(value, two[key]) for key, value in one.items()), path
    times = {path: path.stat().st_mtime_ns for path in Path("search2/children").rglob("*") if path.is_file()}
    said = verb("search", SEARCH, "search2", 2, "--model.init_args.directory=search2")
    assert "The search in 'search2' was already finished: nothing was done." in said
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_search_on_two_processes_ends_at_a_signal_to_one_and_goes_on(rank, verb):
    args = ["--model.init_args.directory=out"]
    search = verb("search", SEARCH, "out", 2, *args, wait=False)
    deadline = time.monotonic() + 600
    while not list(Path("out").rglob("weights.pt")):
        assert time.monotonic() < deadline
        assert search.poll() is None, search.communicate()
        time.sleep(0.02)
    (first,) = children(search.pid)  # of `timeout`, which leads both
    (second,) = children(first)
    os.kill((first, second)[rank], signal.SIGTERM)
    _, errors = search.communicate(timeout=950)
    if rank == 0:
        assert "lit-metanas: Stopped by a signal; the same command goes on" in errors
    assert search.returncode != 0
    while Path(f"/proc/{second}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    verb("search", SEARCH, "out", 2, *args)
    assert len(list(Path("out").rglob("weights.pt"))) == 6


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in found.split()]
