"""Validations that were interrupted start anew."""

from __future__ import annotations

from typing import Any


def validate_anew(checkpoint: dict[str, Any]) -> None:
    """Mark a validation in whose middle a checkpoint was written as not begun.

    Lightning would go on in its middle or skip it, and the scores of the batches before are lost.

    Args:
        checkpoint: of Lightning, before it restores its loops from it.
    """
    progress = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.val_loop.batch_progress")
    if progress is None:
        return
    current = progress["current"]
    if current["completed"] < current["ready"] or (current["ready"] and not progress["is_last_batch"]):
        progress["current"] = dict.fromkeys(current, 0)
        # One begun batch: to Lightning a validation to finish.
        progress["total"] = {**dict.fromkeys(progress["total"], 0), "ready": 1, "started": 1}
