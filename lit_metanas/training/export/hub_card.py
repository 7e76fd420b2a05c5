"""The model card of an exported network, ``README.md``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from lit_metanas.io.text import duration, markdown_text, number_of, printable
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.budget import Cost
from lit_metanas.records.statistics import percent
from lit_metanas.training.export.exported_program import LIBRARY
from lit_metanas.training.export.network_description import DESCRIPTION

UNKNOWN_LICENSE = "unknown"


@dataclass(frozen=True)
class ModelCard:
    """What a card says of a network: its front matter is plain YAML, as Hugging Face's own library reads it."""

    kind: str  # what the network does, by the Hub's names, such as image-classification
    data: str  # data set or task
    metric: str  # what `value` measures
    value: float  # the test score
    ci95: float  # how far its 95 % confidence interval reaches; NaN where there is none
    examples: tuple[int, int]  # of the training, and of the test
    classes: tuple[str, ...]
    space: str
    architecture: str
    parameters: int
    flops: int  # multiply-adds for one input
    costs: dict[str, Cost]  # by what they were spent on
    reproduce: str  # the command, or the method and seed
    seed: int
    license: str = UNKNOWN_LICENSE
    front: str = ""  # a sentence on other networks of the same search
    preprocessing: str = ""
    encoder: str = ""  # the frozen part of the network, with its licence
    recipe: str = ""  # of the last training, where `reproduce` does not give it
    packages: tuple[str, ...] = ("PyTorch",)  # that predict.py needs
    takes: str = "FILE"  # argument of predict.py
    is_command: bool = False  # whether `reproduce` is a command
    latency: str = ""
    measures: dict[str, str] = field(default_factory=dict)  # of the test part, which did not choose
    by_class: str = ""  # tables of classes, as Markdown
    teacher: str = ""  # a table of teacher and student, as Markdown
    named: str = "classes"  # what `classes` are the names of
    caveat: str = Objective.caveat

    def metadata(self) -> dict[str, Any]:
        """The front matter: a ``model-index`` with the test score."""
        args: dict[str, Any] = {"seed": self.seed, "examples": self.examples[1]}
        if not math.isnan(self.ci95):
            args["ci95"] = round(self.ci95, 4)
        args["reproduce"] = printable(self.reproduce)
        kind, slug = _slug(self.metric, "_"), _slug(self.data)
        result = {
            "task": {"type": self.kind},
            "dataset": {"name": printable(self.data, 200), "type": slug, "split": "test"},
            "metrics": [
                {"type": kind, "value": round(self.value, 4), "name": f"test {self.metric}", "args": args},
            ],
        }
        return {
            "library_name": LIBRARY,
            "license": self.license,
            "pipeline_tag": self.kind,
            "tags": ["neural-architecture-search", LIBRARY],
            "metrics": [kind],
            "model-index": [{"name": f"{LIBRARY}-{slug}", "results": [result]}],
        }

    def text(self) -> str:
        """The whole file."""
        trained, tested = self.examples
        interval = "" if math.isnan(self.ci95) else " (95 % interval)"
        score = f"{percent(self.value, self.ci95)} %{interval}, of {number_of(tested, 'example')}"
        rows = {
            f"test {markdown_text(self.metric)}".replace("|", "\\|"): score,
            **{f"test {name}": value for name, value in self.measures.items()},
            "parameters": f"{self.parameters:,}",
            "multiply-adds for one input": f"{self.flops:,}",
            "latency": self.latency,
        }
        for what, cost in self.costs.items():
            if cost.flops:
                rows[what] = f"{cost.flops:.3g} training FLOPs, {duration(cost.seconds)}"
        notes = {
            "Preprocessing": markdown_text(self.preprocessing, 200),
            "Frozen encoder in front": markdown_text(self.encoder, 400),
            "Recipe of the last training": markdown_text(self.recipe, 2000),
            self.named.capitalize(): markdown_text(", ".join(self.classes), 4000),
            "Front": self.front and f"{markdown_text(self.front, 400)}.",
        }
        # In an indented block Markdown makes nothing of a command's characters, and escapes would be copied.
        reproduce = f"\n\n      {printable(self.reproduce)}"
        if not self.is_command:
            reproduce = f" {markdown_text(self.reproduce, 2000)}"
        other_way = f"`{LIBRARY} predict` takes this folder, too"
        if self.takes != "FILE":
            other_way = (
                f"it reads arrays of inputs alone, and `{LIBRARY} predict` new examples, where this folder says how"
            )
        parts = {"Classes on the test part": self.by_class, "Teacher and student": self.teacher}
        return "\n".join([
            f"---\n{yaml.safe_dump(self.metadata(), sort_keys=False, allow_unicode=True, width=1000)}---",
            "",
            f"# {markdown_text(self.data, 200)}",
            "",
            f"A network that an architecture search of {LIBRARY} found in {markdown_text(self.space, 200)}, and "
            f"trained on {number_of(trained, 'example')} of *{markdown_text(self.data, 200)}*. Seed {self.seed}.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows.items() if value),
            "",
            f"- Architecture: {markdown_text(self.architecture, 4000)}",
            *(f"- {name}: {value}" for name, value in notes.items() if value),
            f"- To reproduce:{reproduce}",
            "",
            *(line for title, text in parts.items() if text for line in (f"## {title}", "", text, "")),
            "## Use",
            "",
            f"`python predict.py {self.takes} ...` needs {' and '.join(self.packages)}; {other_way}. "
            f"The input is described in `{DESCRIPTION}`.",
            "",
            "## Intended use and limits",
            "",
            "It is for inputs like those that it was trained on. It was tested on no others: not on those of other "
            f"cameras, microphones, speakers, languages or times. {self.caveat} Whoever publishes it says here what it "
            "is for, and what the training data hold and may be used for.",
            "",
        ])  # fmt: skip


def _slug(text: str, between: str = "-") -> str:
    """Small letters and digits, and something between."""
    return re.sub(r"[^a-z0-9]+", between, text.lower())[:80].strip(between) or "unnamed"
