"""The controller's policy and its gradient against enumeration by plain loops in float64."""

import itertools
import math

import pytest
import torch

from lit_metanas.spaces import Choice, ChoiceSpace
from lit_metanas.training.weight_sharing.enas_training import Controller, policy_loss


class Tiny(ChoiceSpace):
    """Conditions, one of them on a choice that is itself conditional; a choice without alternative; an unused label."""

    choices = (
        Choice("op", ("none", "conv", "pool", "skip")),
        Choice("size", ("3", "5", "7"), active_if=(("op", frozenset({"conv", "pool"})),)),
        Choice("norm", ("batch",)),
        Choice("dilated", ("no", "yes"), active_if=(("op", frozenset({"conv"})), ("size", frozenset({"3", "5"})))),
        Choice("last", ("a", "b")),
    )

    def proposed_labels(self, choice):
        return choice.labels[1:] if choice.name == "op" else choice.labels


SPACE = Tiny()


def made(seed=0, **options):
    torch.manual_seed(seed)
    controller = Controller(SPACE, hidden=5, **options).double()
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(12)  # far from uniform
    return controller


def everything():
    """All sequences of decisions, by trying all combinations."""
    found = {}
    labels = [SPACE.proposed_labels(choice) for choice in SPACE.choices]
    for combination in itertools.product(*labels):
        kept = {}
        for choice, label in zip(SPACE.choices, combination, strict=True):
            if all(kept.get(name) in allowed for name, allowed in choice.active_if):
                kept[choice.name] = label
        found[tuple(kept.items())] = kept
    return list(found.values())


def plain(controller, labels):
    """The log-probability of decisions, and the entropies on their way, written out."""
    hidden = controller.hidden
    w_in, w_state, b_in, b_state = controller.cell.parameters()
    entered, state, memory = controller.first, torch.zeros(hidden).double(), torch.zeros(hidden).double()
    total, entropy = torch.zeros(()).double(), torch.zeros(()).double()
    for place, choice in enumerate(SPACE.choices):
        candidates = SPACE.proposed_labels(choice)
        if choice.name not in labels or len(candidates) == 1:
            continue
        gates = w_in @ entered + b_in + w_state @ state + b_state
        let_in, forget, cell, out = (gates[i * hidden : (i + 1) * hidden] for i in range(4))
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(let_in) * torch.tanh(cell)
        state = torch.sigmoid(out) * torch.tanh(memory)
        logits = controller.bound * torch.tanh(controller.heads[place].weight @ state / controller.temperature)
        shares = logits.exp() / logits.exp().sum()
        index = candidates.index(labels[choice.name])
        total = total + shares[index].log()
        entropy = entropy - sum(share * share.log() for share in shares)
        entered = controller.embeddings[place].weight[index]
    return total, entropy


def followed(controller, labels):
    """What the controller says of given decisions."""
    return controller.decide(lambda choice, candidates, logs: candidates.index(labels[choice.name]))


def test_the_policy_equals_the_written_out_one_and_its_probabilities_sum_to_one():
    controller = made()
    total = 0.0
    for labels in everything():
        draw = followed(controller, labels)
        log_probability, entropy = plain(controller, labels)
        torch.testing.assert_close(draw.log_probability, log_probability, rtol=0, atol=1e-12)
        torch.testing.assert_close(draw.entropy, entropy, rtol=0, atol=1e-12)
        assert draw.labels == labels
        total += math.exp(log_probability.item())
    assert len(everything()) == 2 * (2 * 2 + 1 + 3 + 1)
    assert total == pytest.approx(1, abs=1e-12)


def reward(labels):
    return 0.3 * (labels["op"] == "conv") + 0.2 * (labels.get("size") == "5") + 0.4 * (labels["last"] == "b")


@pytest.mark.parametrize(("baseline", "weight"), [(0.0, 0.0), (0.37, 0.0), (0.37, 0.2)])
def test_the_policy_gradient_is_that_of_expected_reward_and_entropy(baseline, weight):
    controller = made()
    parameters = list(controller.parameters())
    logs = [plain(controller, labels)[0] for labels in everything()]
    goal = sum(log.exp() * (reward(labels) - weight * log) for labels, log in zip(everything(), logs, strict=True))
    exact = torch.autograd.grad(goal, parameters, allow_unused=True)

    mean = [torch.zeros_like(parameter) for parameter in parameters]
    for labels in everything():
        draw = followed(controller, labels)
        loss = policy_loss([draw], [reward(labels)], baseline=baseline, entropy=weight)
        slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
        for total, slope in zip(mean, slopes, strict=True):
            total -= 0 if slope is None else draw.log_probability.detach().exp() * slope
    for ours, theirs in zip(mean, exact, strict=True):
        torch.testing.assert_close(ours, torch.zeros_like(ours) if theirs is None else theirs, rtol=0, atol=1e-12)
    assert max(slope.abs().max().item() for slope in exact if slope is not None) > 1e-3


def test_draws_follow_the_policy_and_repeat_by_seed():
    controller = made()
    exact = {tuple(labels.items()): plain(controller, labels)[0].exp().item() for labels in everything()}
    state = torch.random.get_rng_state()
    with torch.no_grad():
        runs = [
            [tuple(controller.draw(generator).labels.items()) for _ in range(1500)]
            for generator in (torch.Generator().manual_seed(seed) for seed in (1, 1))
        ]
    assert runs[0] == runs[1]
    assert torch.equal(state, torch.random.get_rng_state())
    for labels, share in exact.items():
        error = math.sqrt(share * (1 - share) / len(runs[0]))
        assert abs(runs[0].count(labels) / len(runs[0]) - share) < 5 * error + 1e-9


def test_the_likeliest_takes_the_best_candidate_at_each_step():
    controller = made()
    likeliest = controller.likeliest().labels
    for place, choice in enumerate(SPACE.choices):
        if choice.name not in likeliest:
            continue
        before = dict(list(likeliest.items())[: list(likeliest).index(choice.name)])
        shares = {}
        for labels in everything():
            if all(labels.get(name) == label for name, label in before.items()):
                share = plain(controller, labels)[0].exp().item()
                shares[labels[choice.name]] = shares.get(labels[choice.name], 0.0) + share
        assert max(shares, key=shares.get) == likeliest[choice.name], place
