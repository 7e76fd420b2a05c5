"""Scripts that run in several processes."""

import json
import logging
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch


def run_ranks(script: Path, folder: Path, argument: str, ranks: int, seconds: int) -> list[Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path.cwd())]), "OMP_NUM_THREADS": "1"}
    environment["MASTER_PORT"] = _free_port()
    # A hung rank ignores SIGTERM.
    command = ["timeout", "-k", "5", str(seconds), sys.executable, str(script), str(folder), argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 50)
    assert done.returncode == 0, done.stdout + done.stderr
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(ranks)]


def run_rank(train: Callable[[Path, Any], dict[str, Any]]) -> None:
    """What such a script does: it trains in silence, and writes the result, which knows its ``rank``."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    result = train(Path(sys.argv[1]), json.loads(sys.argv[2]))
    torch.save(result, Path(sys.argv[1]) / f"rank{result['rank']}.pt")


def _free_port() -> str:
    """A port that the kernel gives nobody by itself, as it does with those that are free for the moment."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(lowest - 1 - os.getpid() % 5000, 1024, -1):
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return str(port)
    raise AssertionError
