"""Whether a checkpoint file may be handed to the Trainer."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

KEYWORDS = ("last", "best", "hpc")
"""What the Trainer resolves to a checkpoint by itself."""


def check_checkpoint(path: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint that is missing, damaged, foreign, or would execute code.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be used; the sentence says why.
    """
    if str(path) in KEYWORDS:
        return
    from lit_metanas.io.arrays import DAMAGED
    from lit_metanas.io.checkpoints import load_plain

    file = Path(path)
    fix = "give a checkpoint that `lit-metanas fit` wrote"
    if "://" in str(path):
        raise ValueError(f"The checkpoint '{path}' is not on this machine: download it and give its path.")
    if file.is_dir():
        raise ValueError(f"The checkpoint '{path}' is a folder: give the file in it, for instance 'last.ckpt'.")
    if not file.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{path}': {fix}.")
    try:
        content = load_plain(file)
    except pickle.UnpicklingError:
        raise ValueError(
            f"The checkpoint '{path}' was not loaded, since it is damaged or holds objects that would execute code: "
            f"{fix}."
        ) from None
    except DAMAGED:
        raise ValueError(f"The checkpoint '{path}' is damaged or is another kind of file: {fix}.") from None
    if not isinstance(content, dict) or not {"state_dict", "pytorch-lightning_version"} <= content.keys():
        raise ValueError(f"'{path}' is a file of tensors but not a Lightning checkpoint: {fix}.")
    if content.get("hyper_parameters"):
        # Lightning lets them override the configuration and the command line, class paths included.
        raise ValueError(f"The checkpoint '{path}' holds hyper-parameters, which another program put there: {fix}.")
