"""Ports for tests of several processes."""

import os
import socket
from contextlib import suppress
from pathlib import Path


def free_port() -> str:
    """One that the kernel gives nobody by itself, as it does with those that are free for the moment."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(lowest - 1 - os.getpid() % 5000, 1024, -1):
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return str(port)
    raise AssertionError
