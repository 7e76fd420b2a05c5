"""The model card of a search's result, ``README.md`` of its export."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from lit_metanas.comparisons.result_fields import ResultFields
from lit_metanas.comparisons.result_text import (
    class_table,
    latency_in_words,
    measures_in_words,
    unreturned_share,
    views_in_words,
)
from lit_metanas.inputs.shapes import ImageShape, as_shape
from lit_metanas.io.text import duration, markdown_text, number_of, printable
from lit_metanas.objectives import Objective, Regression
from lit_metanas.objectives.classification import Classification, ClassProbabilities
from lit_metanas.records.rows import describe_chosen
from lit_metanas.records.statistics import percent
from lit_metanas.training.export.exported_program import LIBRARY
from lit_metanas.training.export.network_description import DESCRIPTION, script_packages, script_takes
from lit_metanas.training.precision import FLOAT32

UNKNOWN_LICENSE = "unknown"


def card_text(result: ResultFields, license: str, command: str) -> str:
    """The whole file; an empty ``command`` gives the method, seed and recipe instead."""
    recipe = ", ".join(f"{name}={value}" for name, value in result.whole_recipe.items())
    made, about = command or _made_by(result, recipe), (result.shape, result.preprocessing, result.objective)
    data, takes = markdown_text(result.task_id, 200), script_takes(*about)
    notes = {
        "Preprocessing": markdown_text(views_in_words(result), 200),
        "Frozen encoder in front": markdown_text(result.encoder, 400),
        "Recipe of the last training": markdown_text(command and recipe, 2000),
        result.objective.named.capitalize(): markdown_text(", ".join(result.classes), 4000),
        "Front": markdown_text(_front_sentence(result), 400),
    }
    # In an indented block Markdown makes nothing of a command's characters, and escapes would be copied.
    reproduce = f"\n\n      {printable(made)}"
    if not command:
        reproduce = f" {markdown_text(made, 2000)}"
    other_way = f"`{LIBRARY} predict` takes this folder, too"
    if takes != "FILE":
        other_way = f"it reads arrays of inputs alone, and `{LIBRARY} predict` new examples, where this folder says how"
    table, teacher = class_table(result), result.teacher
    parts = {
        "Classes on the test part": table and table.markdown(),
        "Teacher and student": teacher and teacher.markdown(result.metric, result.test_score, result.ci95),
    }
    metadata = yaml.safe_dump(_metadata(result, license, made), sort_keys=False, allow_unicode=True, width=1000)
    architecture = describe_chosen(result.architecture, result.ensemble, result.linear)
    return "\n".join([
        f"---\n{metadata}---",
        "",
        f"# {data}",
        "",
        f"A network that an architecture search of {LIBRARY} found in {markdown_text(result.space, 200)}, and "
        f"trained on {number_of(result.images[0], 'example')} of *{data}*. Seed {result.record.seed}.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _rows(result).items() if value),
        "",
        f"- Architecture: {markdown_text(architecture, 4000)}",
        *(f"- {name}: {value}" for name, value in notes.items() if value),
        f"- To reproduce:{reproduce}",
        "",
        *(line for title, text in parts.items() if text for line in (f"## {title}", "", text, "")),
        "## Use",
        "",
        f"`python predict.py {takes} ...` needs {' and '.join(script_packages(*about))}; {other_way}. "
        f"The input is described in `{DESCRIPTION}`.",
        "",
        "## Intended use and limits",
        "",
        "It is for inputs like those that it was trained on. It was tested on no others: not on those of other "
        f"cameras, microphones, speakers, languages or times. {_caveat(result.objective)} Whoever publishes it says "
        "here what it is for, and what the training data hold and may be used for.",
        "",
    ])  # fmt: skip


def _rows(result: ResultFields) -> dict[str, str]:
    """The table: scores on the test part, the network's size and speed, and what it cost."""
    interval = " (95 % interval)" * (not math.isnan(result.ci95))
    score = f"{percent(result.test_score, result.ci95)} %{interval}, of {number_of(result.images[1], 'example')}"
    costs = {
        "features of encoders, once": result.encoding_cost,
        "search": result.cost,
        f"all training after it{unreturned_share(result)}": result.training_cost,
        "meta-training (once)": result.meta_cost,
    }
    return {
        f"test {markdown_text(result.metric)}".replace("|", "\\|"): score,
        **{f"test {name}": value for name, value in measures_in_words(result.measures, result.metric).items()},
        "parameters": f"{result.parameters:,}",
        "multiply-adds for one input": f"{result.flops:,}",
        "latency": latency_in_words(result),
        **{
            what: f"{cost.flops:.3g} training FLOPs, {duration(cost.seconds)}"
            for what, cost in costs.items()
            if cost.flops
        },
    }


def _metadata(result: ResultFields, license: str, made: str) -> dict[str, Any]:
    """The front matter, plain YAML as Hugging Face's own library reads it: a ``model-index`` with the test score."""
    args: dict[str, Any] = {"seed": result.record.seed, "examples": result.images[1]}
    if not math.isnan(result.ci95):
        args["ci95"] = round(result.ci95, 4)
    args["reproduce"] = printable(made)
    noun = getattr(result.preprocessing, "noun", "")
    if isinstance(as_shape(result.shape), ImageShape):
        noun = "images"
    task, kind, slug = result.objective.hub_task(noun), _slug(result.metric, "_"), _slug(result.task_id)
    scored = {
        "task": {"type": task},
        "dataset": {"name": printable(result.task_id, 200), "type": slug, "split": "test"},
        "metrics": [
            {"type": kind, "value": round(result.test_score, 4), "name": f"test {result.metric}", "args": args},
        ],
    }
    return {
        "library_name": LIBRARY,
        "license": license,
        "pipeline_tag": task,
        "tags": ["neural-architecture-search", LIBRARY],
        "metrics": [kind],
        "model-index": [{"name": f"{LIBRARY}-{slug}", "results": [scored]}],
    }


def _made_by(result: ResultFields, recipe: str) -> str:
    made = f"method {result.record.method or 'unnamed'}, seed {result.record.seed}, recipe {recipe}"
    if result.precision != FLOAT32:
        made += f", precision {result.precision}"
    return made + ", stopped early" * result.stopped


def _caveat(objective: Objective) -> str:
    if isinstance(objective, Regression) and objective.reaches is None:
        return "It has no prediction intervals, and it knows of no numbers far from those that it was trained on."
    if not isinstance(objective, ClassProbabilities):
        return objective.caveat
    shifted = isinstance(objective, Classification) and objective.shift is not None
    if objective.temperature == 1 and not shifted:
        return objective.caveat
    text = (
        f"Its probabilities are calibrated for such inputs alone, by a temperature of {objective.temperature:.3g} (Guo "
        "et al. 2017) that was learned on validation examples, and it has no answer for what belongs to none of its "
        "classes."
    )
    if shifted:
        text += (
            " In training classes did not count by their numbers of examples, so a rare one is predicted even if "
            "another one is more probable."
        )
    return text


def _front_sentence(result: ResultFields) -> str:
    if not result.front:
        return ""
    what = {"flops": "multiply-adds", "latency": "the latency of one input"}.get(result.traded, result.traded)
    if len(result.front) == 1:
        return f"this network alone; nothing else that was found trades {result.metric} against {what}."
    return (
        f"{number_of(len(result.front), 'network')} that trade {result.metric} against {what} are in the folder front; "
        "this is the one that was best by validation."
    )


def _slug(text: str, between: str = "-") -> str:
    """Small letters and digits, and something between."""
    return re.sub(r"[^a-z0-9]+", between, text.lower())[:80].strip(between) or "unnamed"
