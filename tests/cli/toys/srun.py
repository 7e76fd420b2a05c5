"""Stands in for SLURM's srun: as many processes as there are nodes, each with what SLURM tells it."""

import os
import signal
import subprocess
import sys

command = sys.argv[next(place for place, word in enumerate(sys.argv) if place and not word.startswith("--")) :]
tasks = [
    subprocess.Popen(command, env={**os.environ, "SLURM_PROCID": str(n), "SLURM_NODEID": str(n), "SLURM_LOCALID": "0"})
    for n in range(int(os.environ["SLURM_NTASKS"]))
]
signal.signal(signal.SIGTERM, lambda number, frame: [task.send_signal(number) for task in tasks])
sys.exit(max(task.wait() for task in tasks))
