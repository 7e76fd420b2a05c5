"""What a step leaves in its folder, so that the same experiment, run again, knows where it was."""

from __future__ import annotations

import json
from pathlib import Path

from lit_metanas.atomic import replacing
from lit_metanas.phases import Step


def state(step: Step, anew: set[int | None]) -> str:
    """``finished``, ``started`` (with this configuration), or ``new``.

    Args:
        step: the step.
        anew: seeds of which an earlier step ran anew; None for the steps of all seeds.
    """
    if anew if step.seed is None else anew & {None, step.seed}:
        return "new"
    try:
        marker = json.loads((step.folder / "phase.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "new"
    known = isinstance(marker, dict) and marker.get("fingerprint") == step.fingerprint
    return str(marker.get("state", "new")) if known else "new"


def mark(step: Step, state: str) -> None:
    """Leave the step's state in its folder."""
    marker = {"state": state, "fingerprint": step.fingerprint, "args": step.args}
    with replacing(step.folder / "phase.json") as temporary:
        temporary.write_text(json.dumps(marker, indent=1), encoding="utf-8")


def set_aside(folder: Path) -> Path | None:
    """Rename a folder that has something in it; returns its new name."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


def last_checkpoint(step: Step) -> Path | None:
    """The checkpoint that an interrupted ``fit`` goes on from."""
    checkpoint = step.folder / "checkpoints" / "last.ckpt"
    return checkpoint if step.args[0] == "fit" and checkpoint.is_file() else None
