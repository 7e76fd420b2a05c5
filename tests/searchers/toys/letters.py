"""A space of five letters, some of which stand for the same architecture or cannot be built; and studies."""

import optuna

from lit_metanas.spaces import Choice, ChoiceSpace

LABELS = tuple("abc")


class Letters(ChoiceSpace):
    """The third letter matters only after an a; two b's cannot be built; the order of the last two does not matter."""

    choices = (
        Choice("x", LABELS),
        Choice("y", LABELS),
        Choice("z", LABELS, active_if=(("x", frozenset({"a"})),)),
        Choice("v", LABELS, group="tail"),
        Choice("w", LABELS, group="tail"),
    )

    def canonical(self, labels):
        low, high = sorted((labels["v"], labels["w"]))
        return super().canonical({**labels, "v": low, "w": high})

    def violation(self, architecture):
        return "two b's" if architecture["x"] == architecture["y"] == "b" else None


SPACE = Letters()
ALL = tuple(SPACE.architectures())


def optimized(sampler, number, function, direction="maximize", **options):
    """A study after so many trials."""
    study = optuna.create_study(sampler=sampler, direction=direction, **options)
    study.optimize(function, n_trials=number)
    return study
