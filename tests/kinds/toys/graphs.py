"""A kind of data from outside: graphs in JSON lines, and a search space for them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

import lit_metanas as lm


@dataclass(frozen=True)
class Hops(lm.Preprocessing):
    """The numbers of each node, and their means over neighbours one and two edges away (Rossi et al. 2020, SIGN).

    Attributes:
        nodes: of a graph at most.
        numbers: of each node.
    """

    nodes: int
    numbers: int

    kind = "graph hops"
    noun = "graphs"

    @property
    def shape(self) -> lm.SeriesShape:
        """The nodes are the steps."""
        return lm.SeriesShape(3 * self.numbers + 1, self.nodes)

    def encode(self, raw: Sequence[Any]) -> Tensor:
        """The inputs of graphs."""
        found = torch.zeros(len(raw), *self.shape)
        for row, graph in enumerate(raw):
            own = torch.tensor(graph["nodes"], dtype=torch.float32)[: self.nodes]
            if own.dim() != 2 or own.shape[1] != self.numbers:
                raise ValueError(f"A graph has nodes of shape {tuple(own.shape)}: give {self.numbers} numbers each.")
            links = torch.eye(len(own))
            for one, other in graph["edges"]:
                if max(one, other) < len(own):
                    links[one, other] = links[other, one] = 1.0
            links /= links.sum(1, keepdim=True)
            hops = torch.cat([own, links @ own, links @ links @ own], dim=1)
            found[row, :-1, : len(own)] = hops.T
            found[row, -1, : len(own)] = 1.0
        return found

    def show(self, inputs: Tensor) -> list[str]:
        """The number of nodes."""
        return [f"{int(mask.sum())} nodes" for mask in inputs[:, -1]]

    def to_plain(self) -> dict[str, Any]:
        """Both numbers."""
        return {"nodes": self.nodes, "numbers": self.numbers}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Of both numbers."""
        nodes, numbers = plain["nodes"], plain["numbers"]
        if not all(isinstance(one, int) and 1 <= one <= 1000 for one in (nodes, numbers)):
            raise ValueError("nodes and numbers must be from 1 to 1000")
        return cls(nodes, numbers)


class NodeNetworks(lm.SearchSpace):
    """The same layers for each node, then the mean over all nodes."""

    shapes = (lm.SeriesShape,)

    def __init__(self, width: int = 8) -> None:
        self.width = width

    def body(self, shape: lm.Shape, build: lm.Builder) -> nn.Module:
        """One or two layers, each with an activation."""
        layers: list[nn.Module] = []
        channels = shape[0]
        for name in ("first", "second"):
            sizes = {str(size): partial(nn.Conv1d, channels, self.width, size, padding=size // 2) for size in (1, 3)}
            layers.append(build.choice(f"{name}.neighbours", sizes))
            layers.append(build.choice(f"{name}.activation", {"relu": nn.ReLU, "tanh": nn.Tanh}))
            channels = self.width
        return nn.Sequential(*layers)


class Graphs(lm.Kind):
    """Graphs in JSON lines: ``nodes`` is a list of lists of numbers, ``edges`` of pairs of places, and ``label``."""

    name = "graphs"
    noun = "graphs"

    def claims(self, path: Path, group: str | None) -> bool:
        """A file that ends so."""
        return path.name.endswith(".graphs.jsonl")

    def holds(self, task: lm.Task) -> bool:
        """By what made its inputs."""
        return isinstance(task.preprocessing, Hops)

    def read(self, source: lm.kinds.Source) -> lm.Task:
        """Of one file, divided by class."""
        graphs = read_graphs(source.path)
        labels = sorted({str(graph["label"]) for graph in graphs})
        made = source.prepared or Hops(max(len(graph["nodes"]) for graph in graphs), len(graphs[0]["nodes"][0]))
        inputs, targets = made.encode(graphs), torch.tensor([labels.index(str(graph["label"])) for graph in graphs])
        parts = divided(inputs, targets)
        return lm.Task(source.path.name, len(labels), *parts, classes=tuple(labels), preprocessing=made)

    def space(self, shape: lm.Shape, objective: lm.Objective) -> lm.SearchSpace:
        """Networks of nodes."""
        return NodeNetworks()

    def searched_fields(self, objective: lm.Objective) -> dict[str, Sequence[Any]]:
        """Without augmentation, which would hide nodes."""
        found = super().searched_fields(objective)
        found.pop("augmentation")
        return found

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """The graphs of files, by their line."""
        return [(f"{path}:{line}", one) for path in paths for line, one in enumerate(read_graphs(Path(path)), 1)]


def read_graphs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def divided(inputs: Tensor, targets: Tensor) -> list[lm.Split]:
    """Of each five examples of a class the first is for testing, the second to choose by."""
    order = torch.cat([(targets == label).nonzero()[:, 0] for label in targets.unique()])
    places = torch.cat([torch.arange(int((targets == label).sum())) for label in targets.unique()]) % 5
    parts = [order[places > 1], order[places == 1], order[places == 0]]
    return [lm.Split(inputs[part], targets[part]) for part in parts]
