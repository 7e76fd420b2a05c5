"""Networks with recipes, meta-trained on episodes of a source: what the package ships for searches of other sources.

    python benchmarks/few_shot_pools.py glyphs
    python benchmarks/few_shot_pools.py omniglot --omniglot omniglot.npz

A search of architecture and recipe with a large budget (8 TFLOPs, about 6 CPU-minutes) around the pyramid and a plain
recipe; what it has tried goes into ``lit_metanas/records/shipped_episodes.jsonl``, in place of what is there of the
same source. Only training and validation classes are seen. A search never learns from records of its own source.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from figure import one_thread

import lit_metanas as lm
from lit_metanas.records.record_lines import SHIPPED_EPISODES_FILE

CONFIGS = Path(__file__).parents[1] / "configs"
FLOPS = 8e12
CANDIDATES, RUNGS, SURVIVORS = (12, 8, 6, 4), (0.15, 0.2, 0.25, 0.4), 3
EPISODES: dict[str, dict[str, int]] = {
    "glyphs": {"way": 20, "query": 5, "eval_way": 5, "eval_query": 15},
    "omniglot": {"way": 60, "query": 1, "eval_way": 20, "eval_query": 5},
}


def settings_of(configuration: str) -> Any:
    """The arguments in a file of configs/."""
    document = yaml.safe_load((CONFIGS / configuration).read_text())
    return document.get("model", document)["init_args"]


def search(source: lm.TaskSource, folder: str) -> lm.records.SearchRecord:
    """Everything that one search tried."""
    sizes = {**EPISODES[source.name], "tasks_per_step": 4, "steps_per_epoch": 1000, "val_episodes": 200}
    data = lm.EpisodeDataModule(source, **sizes)
    given = settings_of("search/few_shot.yaml")["searcher"]["init_args"]
    searcher = lm.searchers.EvolvingHalving(
        incumbent=given["incumbent"],
        train=given["train"],
        candidates=CANDIDATES,
        rungs=RUNGS,
        survivors=SURVIVORS,
        parents=1,
        finish=False,
    )
    space = lm.LayeredSpace(**settings_of("spaces/few_shot.yaml"))
    search = lm.comparisons.SourceSearch(
        space=space, searcher=searcher, flops=FLOPS, method="evolving halving", directory=folder
    )
    return search.search(data).record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=EPISODES, help="what is meta-trained on")
    parser.add_argument("--omniglot", help="a folder in torchvision's layout, or a compact .npz file")
    options = parser.parse_args()
    one_thread()
    source = lm.Glyphs() if options.source == "glyphs" else lm.kinds.Omniglot(options.omniglot)
    with TemporaryDirectory() as folder:
        search(source, folder)
        (record,) = lm.records.read_record_lines(Path(folder) / "records.jsonl")
    lm.records.merge_record_lines(SHIPPED_EPISODES_FILE, [record])
    for trial in sorted(record.trials, key=lambda trial: -trial.value)[:5]:
        print(f"{100 * trial.value:.1f} %, {trial.trained:.2g} FLOPs, {trial.recipe}, {trial.architecture}")


if __name__ == "__main__":
    main()
