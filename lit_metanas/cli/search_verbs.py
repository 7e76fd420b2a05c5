"""The verbs ``auto`` and ``distil``: a search in the shell, which a signal stops, and what to do with its output."""

from __future__ import annotations

import os
import shlex
import signal
from inspect import Parameter
from pathlib import Path
from typing import Any

from lit_metanas.automl.calls import run_auto, signed
from lit_metanas.automl.options import NOT_OF_STUDENTS, STUDENT_FOLDER, TEACHER, AutoOptions, shell_options
from lit_metanas.io.text import asked_from_shell
from lit_metanas.records.record import FailedWorkError
from lit_metanas.training.export.exported_program import PROGRAM
from lit_metanas.training.export.prediction_table import predict_command


@signed(shell_options(output="model"))
def auto_verb(*, began: float, **given: Any) -> None:
    """The verb ``auto``: its keys are the options, ``began`` is the clock when the command began."""
    options = AutoOptions(**given)
    # SIGTERM, as a cluster sends it at the end of a job, takes the path of Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with asked_from_shell():
            found = run_auto(options, began=began, from_shell=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    print(found)
    output = os.fspath(options.output or "")
    if options.student and found.teacher is None:
        output = os.path.join(output, TEACHER)
    kept = f"the best so far is in '{output}', and"
    if found.failure:
        raise FailedWorkError(f"the last training failed; {kept} once the cause is fixed the same command goes on.")
    if found.stopped:
        raise KeyboardInterrupt(f"stopped; {kept} the same command goes on.")
    program = Path(output) / PROGRAM
    size = ""
    if program.is_file():
        size = f" ({PROGRAM}, {program.stat().st_size:,} bytes)"
    print(f"The network{size}, a report and what was tried are in '{output}'.")
    print(f"Next: {shlex.join(['lit-metanas', *predict_command(output, options.kind)])}", flush=True)


_MODEL_KEY = Parameter("model", Parameter.KEYWORD_ONLY, annotation=str)


@signed([_MODEL_KEY, *shell_options(NOT_OF_STUDENTS, output=STUDENT_FOLDER)])
def distil_verb(*, began: float, model: str, **given: Any) -> None:
    """The verb ``distil``: its keys are the model, and the options of its student; see ``auto_verb``."""
    auto_verb(began=began, teacher=model, **given)
