"""Stands in for the command line of a step: notes when it begins and ends, sleeps, fails where told to."""

import json
import os
import signal
import sys
import time
from pathlib import Path

VERB, *REST = sys.argv[1:]
WORDS = dict(word.removeprefix("--").split("=", 1) for word in REST)
FOLDER = Path(WORDS.get("trainer.default_root_dir") or WORDS["output"])


def note(what: str) -> None:
    with open("events.jsonl", "a") as events:
        shown = {**WORDS, "sharing": os.environ.get("LIT_METANAS_PROCESSES", "1")}
        events.write(json.dumps([what, str(FOLDER), time.monotonic(), os.getpid(), shown]) + "\n")


def stop(number: int, _: object) -> None:
    note(f"stopped by {number}")
    sys.exit(130)


signal.signal(signal.SIGINT, signal.SIG_IGN if "deaf" in WORDS else stop)
note("begins")
print(f"{VERB} says {os.environ.get('SAY', 'nothing')}")
deadline = time.monotonic() + 1000
while "wait" in WORDS and not Path(WORDS["wait"]).exists() and time.monotonic() < deadline:
    time.sleep(0.02)
time.sleep(float(WORDS.get("sleep", 0)))
if Path("fails").exists() and Path("fails").read_text() == str(FOLDER):
    print("line before\nwhat went wrong", file=sys.stderr)
    sys.exit(int(WORDS.get("code", 1)))
Path(FOLDER, "made.json").write_text("{}")
note("ends")
