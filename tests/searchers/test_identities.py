"""Parameter sets that are the same, and those that are not."""

from lit_metanas.searchers.samplers.memory import Identities
from lit_metanas.spaces import Choice, ChoiceSpace


class Pair(ChoiceSpace):
    choices = (Choice("x", ("a", "b")), Choice("y", ("a", "b"), active_if=(("x", frozenset({"a"})),)))

    def violation(self, architecture):
        return "no" if architecture.get("y") == "b" else None


def test_values_tell_apart_and_the_order_of_names_does_not():
    identify = Identities()
    assert identify({"p": 1, "q": "a"}).number == identify({"q": "a", "p": 1}).number
    assert identify({"p": 1, "q": "a"}).number != identify({"p": 1, "q": "b"}).number
    assert identify({"p": None}).number != identify({}).number
    assert identify({"p": 0.1 + 0.2}).number == identify({"p": 0.3}).number
    assert identify({"p": 0.3}).number != identify({"p": 0.3000001}).number
    assert identify({"p": ["no", "hash"]}).number == identify({"p": ["no", "hash"]}).number


def test_a_space_tells_what_is_inactive_and_what_cannot_be_built():
    identify = Identities(Pair())
    first, second = (identify({"arch.x": "b", "arch.y": label, "rate": 0.1}) for label in "ab")
    assert first == second
    assert first.inactive == {"arch.y"}
    assert first.allowed
    assert not identify({"arch.x": "a", "arch.y": "b"}).allowed
    assert identify({"arch.x": "a", "arch.y": "a"}).inactive == frozenset()
    assert identify({"arch.x": "b", "arch.y": "a", "rate": 0.2}).number != first.number
    assert identify({"arch.x": "a"}).allowed  # a part of an architecture is told apart by its values
