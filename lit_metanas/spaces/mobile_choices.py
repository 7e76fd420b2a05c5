"""The choices of a stage of the mobile space, and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.mobile_layout import MobileStage

QUESTIONS = ("kernel", "expansion", "skip")


def stage_choices(number: int, stage: MobileStage) -> Iterator[Choice]:
    """All choices of a stage; the number counts from 1."""
    depth_name = f"stage{number}.depth"
    depths = sorted(stage.depths)
    yield Choice(depth_name, tuple(map(str, depths)), "depth")
    yield Choice(f"stage{number}.width", tuple(f"{multiplier:g}" for multiplier in stage.widths), "width")
    labels = {
        "skip": tuple(stage.skips),
        "kernel": tuple(map(str, stage.kernels)),
        "expansion": tuple(map(str, stage.expansions)),
    }
    for place in range(1, depths[-1] + 1):
        names = block_names(number, place)
        deep = frozenset(str(depth) for depth in depths if depth >= place)
        active = ((depth_name, deep),) if len(deep) < len(depths) else ()
        if place > 1:
            yield Choice(names["skip"], labels["skip"], "skip", active)
            if "identity" in stage.skips:
                active = (*active, (names["skip"], frozenset({"none"})))
        for question in ("kernel", "expansion"):
            yield Choice(names[question], labels[question], question, active)


def block_names(number: int, place: int) -> dict[str, str]:
    """The names of a block's choices by question."""
    return {question: f"stage{number}.block{place}.{question}" for question in QUESTIONS}


def computed_places(number: int, labels: Mapping[str, str]) -> list[int]:
    """The places of a stage's blocks that are computed."""
    return [
        place
        for place in range(1, int(labels[f"stage{number}.depth"]) + 1)
        if labels.get(block_names(number, place)["skip"]) != "identity"
    ]
