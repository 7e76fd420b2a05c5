"""Teacher and student in one call: a search without limits, and then one of a small network that learns from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from lit_metanas.automl.options import TEACHER, AutoOptions
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.io.files import own_path
from lit_metanas.io.own_folder import own_folder

SHARE = 0.6
"""The teacher's share of the budget."""


def teacher_and_student(
    options: AutoOptions, run: Callable[..., SearchResult], *, began: float, from_shell: bool
) -> SearchResult:
    """The result of the student; the teacher is in a folder of the output, where an interrupted call finds it again.

    A search of the teacher that is stopped early gives its own result, and the same call goes on.

    Args:
        options: of both; the limits are those of the student.
        run: runs one of them, as ``run_auto``.
        began: the clock when the minutes began.
        from_shell: whether a command repeats the result.
    """
    assert options.output is not None
    output = own_path(options.output, "output")
    teacher = own_folder(output, TEACHER)
    options.say(f"first a teacher without limits, in '{teacher}', and then its student.")
    found = run(_of_teacher(options, teacher), began=began, from_shell=from_shell)
    if found.stopped:
        return found
    return run(_of_student(options, teacher), began=perf_counter(), from_shell=from_shell)


def _of_teacher(options: AutoOptions, output: Path) -> AutoOptions:
    """The options of the teacher."""
    own = replace(
        options,
        student=False,
        unlabelled=None,
        output=output,
        onnx=False,
        int8=False,
        max_parameters=None,
        max_flops=None,
        max_latency=None,
        max_size=None,
    )
    return _part(own, SHARE)


def _of_student(options: AutoOptions, teacher: Path) -> AutoOptions:
    """The options of the student, which reads raw inputs."""
    return _part(replace(options, student=False, encoders=None, teacher=teacher), 1 - SHARE)


def _part(options: AutoOptions, share: float) -> AutoOptions:
    """The same with a share of the budget."""
    if options.minutes is not None:
        return replace(options, minutes=share * options.minutes)
    return replace(options, flops=tuple(share * flops for flops in options.parts))  # type: ignore[arg-type]
