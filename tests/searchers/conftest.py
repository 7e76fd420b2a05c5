"""Toys that subprocesses import, too."""

import sys
from pathlib import Path

TOYS = Path(__file__).with_name("toys")
sys.path.insert(0, str(TOYS))
