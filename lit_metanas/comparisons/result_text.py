"""A search's result in words: the lines that it prints as, and their parts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from lit_metanas.comparisons.class_table import ClassTable
from lit_metanas.comparisons.result_fields import ResultFields
from lit_metanas.inputs.shapes import ImageShape, as_shape
from lit_metanas.io.text import first_few, number_of, printable
from lit_metanas.objectives.classification import UNCALIBRATED
from lit_metanas.records.record import Cost
from lit_metanas.records.rows import describe_networks
from lit_metanas.records.statistics import percent
from lit_metanas.tasks.task import warn_of_data
from lit_metanas.training.precision import FLOAT32


def describe_result(result: ResultFields) -> str:
    """All that a result has to say, in lines."""
    begin = "Stopped early; best so far" if result.stopped else "Found"
    facts = {
        "reason": result.failure,
        "architecture": result.architecture,
        "preprocessing": views_in_words(result),
    }
    lines = [f"{begin} in {result.space} for task '{printable(result.task_id)}':", *_wrapped(facts)]
    return "\n".join((*lines, *_score_lines(result), *_network_lines(result), *_cost_lines(result)))


def measures_in_words(measures: Mapping[str, float], metric: str) -> dict[str, str]:
    """Measures as people write them, such as ``0.2513`` and ``16,420``, without the metric that chose."""
    words = dict[str, str]()
    for name, value in measures.items():
        short = f"{value:,.0f}" if 1e4 <= value < 1e9 else f"{value:.4g}"  # errors of prices are such large numbers
        if name.endswith(UNCALIBRATED):  # next to the same with it
            words[name.removesuffix(UNCALIBRATED).strip()] += f" ({short} {UNCALIBRATED})"
        elif name != metric:
            words[name] = short
            if any(part in name for part in ("accuracy", "F1", "matches", "mAP")):
                words[name] = f"{100 * value:.1f} %"
    return words


def class_table(result: ResultFields) -> ClassTable | None:
    """Recall, precision and so on of the classes; None without classes or test examples."""
    if not result.class_accuracy or not result.examples:
        return None
    return ClassTable.of(result.examples, result.classes)


def warn_of_classes(result: ResultFields) -> None:
    """Warn of classes that the network never predicts."""
    table = class_table(result)
    if table is not None and (never := table.never_predicted):
        names = first_few([f"'{printable(name, 40)}'" for name in never])
        warn_of_data(f"The network never predicts {number_of(len(never), 'class')}: {names}.")


def _score_lines(result: ResultFields) -> list[str]:
    trained, tested = result.images
    interval = "95 % interval"
    if math.isnan(result.ci95):
        interval = f"of {number_of(tested, 'example')}, too few for an interval"
    lines = [f"  test {result.metric}: {percent(result.test_score, result.ci95)} % ({interval})"]
    if len(set(result.class_accuracy.values())) > 1:
        name, share = min(result.class_accuracy.items(), key=lambda item: item[1])
        lines.append(f"  weakest class: {printable(name, 40)}, {100 * share:.1f} %")
    if others := measures_in_words(result.measures, result.metric):
        lines.append(_wrap(f"also on the test part: {', '.join(f'{name} {value}' for name, value in others.items())}"))
    if result.earlier:
        lines.append(_wrap(result.earlier))
    if result.teacher is not None:
        lines += _aligned(result.teacher.rows(result.metric, result.test_score, result.ci95))
        lines.append(_wrap(result.teacher.sentence))
    noun = "images" if isinstance(as_shape(result.shape), ImageShape) else "examples"
    return [*lines, f"  {noun}: trained on {trained}, tested on {tested}"]


def _network_lines(result: ResultFields) -> list[str]:
    one = "image" if isinstance(as_shape(result.shape), ImageShape) else "input"
    tried = number_of(result.cost.queries, "architecture")
    if result.untried:
        tried += f"; the budget did not pay for {result.untried} more"
    facts = {
        describe_networks(result.ensemble, result.linear): (
            f"{result.parameters:,} parameters, {result.flops:,} multiply-adds an {one}"
        ),
        "encoder, included": result.encoder,
        "latency": latency_in_words(result),
        "tried": result.cost.queries and tried,
        "linear model": result.linear_model,
        "rival": result.rival,
    }
    return _wrapped(facts)


def _cost_lines(result: ResultFields) -> list[str]:
    features, meta = result.encoding_cost, result.meta_cost
    facts = {
        "cost of the encoders' features": (
            features.flops and f"{features.flops:.3g} FLOPs, {features.seconds:.1f} s, once"
        ),
        "cost of the search": _cost_text(result.cost),
        f"cost of all training after it{unreturned_share(result)}": _cost_text(result.training_cost),
        "precision of the trainings": result.precision != FLOAT32 and result.precision,
        "cost of what was learned before": meta.flops and f"{_cost_text(meta)}, paid once",
        "pace": not math.isnan(result.pace) and f"{result.pace:.3g} training FLOPs a second",
        "to repeat it": printable(result.command),  # in one line, to be copied
    }
    lines = [f"  {name}: {fact}" for name, fact in facts.items() if fact]
    if result.front:
        lines += ["  front:", *_aligned([row[:-1] for row in result.front_table()])]
    return lines


def views_in_words(result: ResultFields) -> str:
    """The chosen preprocessing, and that of the linear model if it is another one."""
    if not result.view or result.linear_view in ("", result.view):
        return result.view
    return f"{result.view}; of the linear model: {result.linear_view}"


def _wrapped(facts: Mapping[str, object]) -> list[str]:
    """A paragraph for each fact, by its name, that is neither empty nor zero."""
    return [_wrap(f"{name}: {fact}") for name, fact in facts.items() if fact]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "    ".join(map(str.rjust, row, widths)) for row in rows]


def latency_in_words(result: ResultFields) -> str:
    """The measured seconds of one input; empty if they are unknown."""
    if math.isnan(result.latency):
        return ""
    measured = f"{1000 * result.latency:.3g} ms for one input"
    if result.threads is None:
        return measured
    return f"{measured}, with {number_of(result.threads, 'thread')}"


def unreturned_share(result: ResultFields) -> str:
    """The share of the training after the search for models that are not returned; empty for none."""
    if not 0 < result.unreturned <= result.training_cost.flops:
        return ""
    return f" ({result.unreturned / result.training_cost.flops:.0%} for models that are not returned)"


def _cost_text(cost: Cost) -> str:
    return f"{cost.flops:.3g} training FLOPs, {cost.seconds:.1f} s"


def _wrap(text: str) -> str:
    """Lines of 100 characters, as an architecture may have many labels; a number and its % stay together."""
    joined = textwrap.fill(
        printable(text).replace(" %", "\N{NO-BREAK SPACE}%"),
        100,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return joined.replace("\N{NO-BREAK SPACE}%", " %")
