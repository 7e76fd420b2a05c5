"""Writes `configs/README.md`, of what each configuration says of itself: `python docs/configs_readme.py`."""

from pathlib import Path

from lit_metanas.cli.configuration_files import (
    CONFIGS,
    USES,
    Shipped,
    described_in,
    path_of_name,
)

INTRODUCTION = """\
# Configurations

Written by `python docs/configs_readme.py` from the first lines of each file. `lit-metanas configs` prints the same
list, and `lit-metanas configs NAME` a file with a command that uses it. The command line takes each configuration by
its name, with its folder where several share a name. Results, time and memory stand where they were measured, with
one process of one thread on an AMD EPYC; times are longer where other programs run. [Results](../docs/results.md)
says what the numbers mean, [Configurations](../docs/configurations.md) how files build on each other.
"""

SECTIONS = {
    "experiments": ("Experiments", "Several phases, with a report at the end."),
    "fit": (
        "Meta-training",
        "On episodes of glyphs if nothing else is said, with 2 TFLOPs. The result is the accuracy on 5-way 1-shot "
        "episodes of scripts that training never saw. Where an architecture is searched, it is that of the mixture; "
        "chosen then trains the chosen network on. `validate` and `test` take these files, too.",
    ),
    "search": (
        "Searches",
        "On ten tasks of glyphs (10-way, 100 training images a class) if nothing else is said, with at most 400 GFLOPs "
        "for a task and method. Each choice is then trained from scratch, unless it brings weights. The result is test "
        "accuracy. A query search trains one architecture after another for nine epochs, which costs 69 to 377 GFLOPs: "
        "`--model.flops 2e12` pays for some ten.",
    ),
    "amortised": (
        "Learning from earlier searches",
        "[The tutorial](../docs/tutorials/earlier_searches.md) goes through it.",
    ),
    "protocols": ("Protocols", "Behind another configuration: the episodes. The result is Conv-4's."),
    "recipes": ("Recipes", "Behind another configuration on episodes: how few-shot networks are trained."),
    "loggers": ("Loggers", "Behind any configuration of `fit`, `validate`, `test` or `search`."),
    "cluster": (
        "Clusters",
        "`lit-metanas configs slurm.sh > slurm.sh` gives a script. "
        "[The tutorial](../docs/tutorials/cluster.md) explains them.",
    ),
    "spaces": ("Search spaces", "The result is the number of architectures; of cells, isomorphic ones count apart."),
    "sources": ("Sources", "Values of `data.source`; those of tasks are values of `data.tasks`."),
}
"""A title and a note for each folder."""


def readme() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for folder, (title, note) in SECTIONS.items():
        rows = [row(shipped) for shipped in described_in(folder)]
        use = f"`lit-metanas {USES[folder].format('NAME')}`"
        parts.append("\n".join([f"## {title}", "", f"{use}. {note}", "", *rows, ""]))
    return "\n".join(parts)


def row(shipped: Shipped) -> str:
    """A line of a list: the purpose, the result, and what it takes."""
    link = path_of_name(shipped.name).relative_to(CONFIGS)
    parts = [f"- [{shipped.name.partition('/')[2]}]({link}): {shipped.purpose}"]
    if shipped.result:
        parts.append(f"*{shipped.result}.*")
    if shipped.takes:
        parts.append(f"({shipped.takes})")
    return " ".join(parts)


if __name__ == "__main__":
    Path(CONFIGS, "README.md").write_text(readme(), encoding="utf-8")
