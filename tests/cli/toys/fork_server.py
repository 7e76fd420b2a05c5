"""Runs command lines in processes of their own, which start at once as everything is imported before; kills some.

It reads one JSON object a line: ``args``, ``log``, and, for a process that is to be killed, ``after`` (seconds) with
``signal`` (SIGKILL by default), or ``write`` (the number of a file's move into place) with ``moved`` (whether it dies
after the move or before it). It answers with ``code`` (minus the signal that ended it) and ``seconds``.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

import lit_metanas.report
import lit_metanas.searchers
from lit_metanas.cli.command_line import main
from lit_metanas.cli.program import Program

IMPORTED = (lit_metanas.report, lit_metanas.searchers, Program)


def die_at(write: int, moved: bool) -> None:
    """Let the process kill itself when it moves a file into place for the ``write``-th time."""
    replace, count = os.replace, 0

    def counted(source: str, target: str) -> None:
        nonlocal count
        count += 1
        if count == write and not moved:
            # What is being written is half there.
            os.truncate(source, os.path.getsize(source) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if count == write:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counted


def run(order: dict[str, object]) -> dict[str, object]:
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["lit-metanas", *order["args"]]
        if "write" in order:
            die_at(int(order["write"]), bool(order["moved"]))
        code = 70
        try:
            code = main(list(order["args"]))
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if "after" in order and time.monotonic() - begin > float(order["after"]):
            os.kill(child, int(order.get("signal", signal.SIGKILL)))
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    return {"code": os.waitstatus_to_exitcode(ended[1]), "seconds": time.monotonic() - begin}


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.chdir(Path(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
