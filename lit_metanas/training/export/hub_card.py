"""The model card of an exported network, ``README.md``, and the verb ``push``, which sends its folder to a hub."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lit_metanas.io.files import read_regular, write_whole
from lit_metanas.io.own_folder import check_files
from lit_metanas.io.text import duration, markdown_text, number_of, printable, with_prefix
from lit_metanas.io.yaml_files import YAMLLimit, parse_yaml
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.budget import Cost, FailedWorkError
from lit_metanas.records.statistics import percent
from lit_metanas.training.export.exported_program import (
    CARD,
    CARD_BEGINS,
    EXPORTED,
    LIBRARY,
    check_export_place,
    check_own_file,
    read_described_program,
)
from lit_metanas.training.export.network_description import DESCRIPTION
from lit_metanas.training.export.onnx_program import INT8, Int8Loss

UNKNOWN_LICENSE = "unknown"
LARGEST_CARD = 1 << 20
_FRONT = re.compile(r"---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
_LOCAL_PATH = re.compile(r"""(?<=['"])(?P<quoted>(?:~|\.\.)?/[^'"]+)|(?<![^\s=])(?P<bare>(?:~|\.\.)?/[^\s'"]+)""")
_INT8_NAME = f"the same with weights of 8 bits (`{INT8}`)"
_INT8_ROW = f"| {_INT8_NAME}"


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
    int8: Int8Loss | None = None
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
        """The front matter: a ``model-index`` with a result for each file that was scored."""
        args: dict[str, Any] = {"seed": self.seed, "examples": self.examples[1]}
        if not math.isnan(self.ci95):
            args["ci95"] = round(self.ci95, 4)
        args["reproduce"] = printable(self.reproduce)
        metrics = [self._metric(self.value, f"test {self.metric}", args)]
        if self.int8 is not None:
            metrics.append(self.int8_metric(self.int8))
        data = {"name": printable(self.data, 200), "type": _slug(self.data), "split": "test"}
        result = {"task": {"type": self.kind}, "dataset": data, "metrics": metrics}
        return {
            "library_name": LIBRARY,
            "license": self.license,
            "pipeline_tag": self.kind,
            "tags": ["neural-architecture-search", LIBRARY],
            "metrics": [_slug(self.metric, "_")],
            "model-index": [{"name": f"{LIBRARY}-{_slug(self.data)}", "results": [result]}],
        }

    def int8_metric(self, loss: Int8Loss) -> dict[str, Any]:
        """The entry of ``metadata`` that tells the score with weights of 8 bits."""
        own = {"examples": loss.examples, "file": INT8}
        return self._metric(loss.value_int8, f"{self.metric}, weights of 8 bits", own)

    def _metric(self, value: float, name: str, args: dict[str, Any]) -> dict[str, Any]:
        return {"type": _slug(self.metric, "_"), "value": round(value, 4), "name": name, "args": args}

    @property
    def _other_way(self) -> str:
        """What this package does with the folder."""
        if self.takes == "FILE":
            return f"`{LIBRARY} predict` takes this folder, too"
        return f"it reads arrays of inputs alone, and `{LIBRARY} predict` new examples, where this folder says how"

    def text(self) -> str:
        """The whole file."""
        trained, tested = self.examples
        score = f"{percent(self.value, self.ci95)} %"
        if not math.isnan(self.ci95):
            score += " (95 % interval)"
        rows = {f"test {markdown_text(self.metric)}".replace("|", "\\|"): f"{score}, of {number_of(tested, 'example')}"}
        if self.int8 is not None:
            rows[_INT8_NAME] = self.int8.told
        rows |= {f"test {name}": value for name, value in self.measures.items()}
        rows |= {"parameters": f"{self.parameters:,}", "multiply-adds for one input": f"{self.flops:,}"}
        rows["latency"] = self.latency
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
        parts = {"Classes on the test part": self.by_class, "Teacher and student": self.teacher}
        return "\n".join([
            f"---\n{_dumped(self.metadata())}---",
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
            f"`python predict.py {self.takes} ...` needs {' and '.join(self.packages)}; {self._other_way}. "
            f"The input is described in `{DESCRIPTION}`.",
            "",
            "## Intended use and limits",
            "",
            "It is for inputs like those that it was trained on. It was tested on no others: not on those of other "
            f"cameras, microphones, speakers, languages or times. {self.caveat} Whoever publishes it says here what it "
            "is for, and what the training data hold and may be used for.",
            "",
        ])  # fmt: skip


def write_card(folder: str | os.PathLike[str], card: ModelCard) -> None:
    """Write ``README.md`` atomically."""
    check_own_file(Path(folder) / CARD, CARD_BEGINS)
    write_whole(Path(folder) / CARD, card.text())


def update_card(folder: str | os.PathLike[str], card: ModelCard) -> None:
    """Have the card in a folder tell what weights of 8 bits cost; what people wrote into it stays."""
    # Only comments in its front matter are lost. Where there is no card, the whole one is written.
    file = Path(folder) / CARD
    if not file.is_file():
        write_card(folder, card)
    elif card.int8 is not None:
        data = read_card(file)
        metrics = data["model-index"][0]["results"][0]["metrics"]
        metrics[:] = [*(metric for metric in metrics if not _is_int8(metric)), card.int8_metric(card.int8)]
        rest = _body(file)
        row = f"{_INT8_ROW} | {card.int8.told} |"
        rest, found = re.subn(rf"(?m)^{re.escape(_INT8_ROW)}.*$", lambda _: row, rest, count=1)
        if not found:
            rest = re.sub(r"(?m)^\| test .*$", lambda line: f"{line[0]}\n{row}", rest, count=1)
        write_whole(file, f"---\n{_dumped(data)}---\n{rest}")


def tells_int8(folder: Path) -> bool:
    """Whether the card in a folder tells what weights of 8 bits cost."""
    return any(map(_is_int8, _metrics(folder / CARD)))


def _is_int8(metric: dict[str, Any]) -> bool:
    args = metric.get("args")
    return isinstance(args, dict) and args.get("file") == INT8


def _dumped(front: dict[str, Any]) -> str:
    """A front matter as YAML."""
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)


def check_card_place(folder: str | os.PathLike[str]) -> None:
    """Look whether an export with a card may write into a folder."""
    check_export_place(Path(folder))
    check_own_file(Path(folder) / CARD, CARD_BEGINS)


def push(folder: Path, repo: str, dry_run: bool = False, license: str | None = None) -> None:
    """Send the folder of an exported network to the Hugging Face Hub, where its card tells what it is."""
    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repo):
        raise ValueError(f"'{printable(repo, 100)}' is no repository of the Hub: give NAME/MODEL.")
    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,59}", license):
        raise ValueError(f"'{printable(license, 60)}' is no licence of the Hub: give its name, such as apache-2.0.")
    files = check_pushed(folder)
    if license is not None and not dry_run:
        _license(folder / CARD, license)
    if license is None and read_card(folder / CARD)["license"] == UNKNOWN_LICENSE:
        print("push: the card has 'license: unknown': give --license NAME, such as apache-2.0.")
    if path := _local_path(folder / CARD):
        print(
            f"push: the card's command has a path of this machine, '{printable(path, 200)}': edit '{folder / CARD}' "
            "if others are not to read it."
        )
    for file in files:
        print(f"{_bytes(file.stat().st_size):>8}  {printable(file.name)}")
    total = f"{number_of(len(files), 'file')}, {_bytes(sum(file.stat().st_size for file in files))}"
    if dry_run:
        print(f"push: {total}, would go to {repo}; nothing was sent.")
        return
    try:
        from huggingface_hub import upload_folder
    except ModuleNotFoundError:
        raise ValueError("To push needs a package: pip install 'lit-metanas[hub]'.") from None
    try:
        made = upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=[file.name for file in files],
            commit_message="An exported network",
        )
    except Exception as error:  # of many kinds, by the Hub and by the packages that speak to it
        raise FailedWorkError(
            f"The Hub took nothing; log in by `hf auth login`, make the repository, or fix the network. It said: "
            f"{printable(' '.join(str(error).split()), 300)}"
        ) from None
    print(f"push: {total}, went to {made}.")


def _license(file: Path, license: str) -> None:
    """Have a card that can be read tell another licence; all else in it, which people may have written, stays."""
    begin, front, rest = read_regular(file, LARGEST_CARD).decode().split("---", 2)
    line = yaml.safe_dump({"license": license}).strip()
    front, found = re.subn(r"(?m)^license: .*$", line, front, count=1)
    if not found:
        raise ValueError(f"'{file}' has no line 'license: NAME' that --license could replace: edit it.")
    write_whole(file, "---".join((begin, front, rest)))


def _local_path(file: Path) -> str | None:
    """The first path of a card's commands that tells of this machine: from the root, from a home or from above."""
    given = (metric.get("args") for metric in _metrics(file))
    told = [str(args.get("reproduce")) for args in given if isinstance(args, dict)]
    shown = [line for line in _body(file).splitlines() if line.lstrip().startswith((f"{LIBRARY} ", "lm."))]
    found = (_LOCAL_PATH.search(command) for command in (*told, *shown))
    return next((one["quoted"] or one["bare"] for one in found if one), None)


def check_pushed(folder: Path) -> list[Path]:
    """The files of an exported network that are sent, by name: those of an export, and nothing else of the folder."""
    check_files(folder, EXPORTED)
    read_described_program(folder)
    if not (folder / CARD).is_file():
        raise FileNotFoundError(
            f"There is no '{CARD}' in '{folder}', which tells what a network is: take what `auto`, `search` or "
            "SearchResult.export leaves, or write one as https://huggingface.co/docs/hub/model-cards has it."
        )
    read_card(folder / CARD)
    return [file for name in EXPORTED if (file := folder / name).is_file()]


def read_card(file: Path) -> dict[str, Any]:
    """The front matter of a card."""
    fix = "export again, or write it as https://huggingface.co/docs/hub/model-cards has it"
    try:
        found = _FRONT.match(read_regular(file, LARGEST_CARD).decode())
        data = parse_yaml(found[1]) if found else None
    except YAMLLimit as error:
        raise ValueError(f"'{file}' has a front matter that {error}: {fix}.") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"'{file}' has no front matter that can be read ({type(error).__name__}): {fix}.") from None
    if not isinstance(data, dict):
        raise ValueError(f"'{file}' has no front matter: {fix}.")
    if not isinstance(data.get("license"), str):
        raise ValueError(f"'{file}' names no licence: {fix}.")
    for model in _list(data.get("model-index"), file, "model-index", fix):
        for result in _list(model.get("results"), file, "results", fix):
            for key in ("task", "dataset"):
                if not isinstance(result.get(key), dict) or not isinstance(result[key].get("type"), str):
                    raise ValueError(f"'{file}' tells no {key} with a type in its results: {fix}.")
            for metric in _list(result.get("metrics"), file, "metrics", fix):
                if not isinstance(metric.get("type"), str) or not isinstance(metric.get("value"), int | float):
                    raise ValueError(f"'{file}' tells a metric without type or value: {fix}.")
    return data


def _metrics(file: Path) -> list[dict[str, Any]]:
    """All metrics that the front matter of a card tells."""
    results = [result for model in read_card(file)["model-index"] for result in model["results"]]
    return [metric for result in results for metric in result["metrics"]]


def _body(file: Path) -> str:
    """What follows the front matter of a card."""
    return _FRONT.sub("", read_regular(file, LARGEST_CARD).decode(), count=1)


def _list(found: object, file: Path, key: str, fix: str) -> Sequence[dict[str, Any]]:
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"'{file}' has no list '{key}': {fix}.")
    return found


def _slug(text: str, between: str = "-") -> str:
    """Small letters and digits, and something between."""
    return re.sub(r"[^a-z0-9]+", between, text.lower())[:80].strip(between) or "unnamed"


def _bytes(number: int) -> str:
    found = with_prefix(number)
    return f"{found}B" if found[-1].isalpha() else f"{found} B"
