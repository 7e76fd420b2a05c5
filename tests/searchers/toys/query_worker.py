"""One of several processes on one study: ``query_worker.py STORAGE WORKER QUERIES SECONDS HANG_AT LABELS``.

It says when it is ready, and waits for a line; in its first training it waits for another one. Each training takes
some seconds; the one at call HANG_AT never ends. No process counts as dead because the machine is slow. Each digit has
so many LABELS: with few, processes often draw the same, and none waits for a line in its first training.
Prints each architecture as its training begins, and at the end how many trials the record has, what was spent, and the
best value.
"""

import json
import sys
import time

from query_toys import DIGITS, Digits, Sums, search

from lit_metanas.records import Budget
from lit_metanas.spaces import Choice


class Slow(Sums):
    def __call__(self, architecture, *, fidelity, start=None):
        print(json.dumps({"began": architecture.to_json()}), flush=True)
        if not self.calls and len(DIGITS) == LABELS:
            sys.stdin.readline()
        time.sleep(1000 if len(self.calls) == HANG_AT else SECONDS)
        return super().__call__(architecture, fidelity=fidelity, start=start)


STORAGE, WORKER, QUERIES, SECONDS, HANG_AT, LABELS = sys.argv[1], *map(float, sys.argv[2:])
SPACE = type("Digits", (Digits,), {"choices": tuple(Choice(name, DIGITS[: int(LABELS)]) for name in "xyz")})()

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    budget = Budget(queries=int(QUERIES))
    found = search(
        Slow(),
        space=SPACE,
        budget=budget,
        storage=STORAGE,
        worker=int(WORKER),
        heartbeat=3600,
        patience=100 if LABELS > 1 else 3,
    )
    scored = {str(trial.architecture): trial.value for trial in found.record.trials if trial.scored}
    print(json.dumps({"scored": scored, "spent": budget.spent.queries, "best": found.record.best.value}))
