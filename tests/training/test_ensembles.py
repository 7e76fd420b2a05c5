"""Networks whose scores are averaged, alone and with a linear model."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.training.ensembles import LINEAR_FACTORS, WithLinear, build_network, linear_factor, members_of


def test_the_mean_is_that_of_all_scores() -> None:
    space, inputs = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(4,)), torch.randint(1, 9, (6, 5))
    linear, few = lm.spaces.NGramSpace(), {"weights": "16384"}
    one = space.sample(torch.Generator().manual_seed(0))
    network = build_network(space, one, lm.TokenShape(9, 3), 4, ensemble=2).double().eval()
    model = build_network(linear, few, lm.TokenShape(9, 2), 4).double().eval()
    for each in model.parameters():
        torch.nn.init.uniform_(each)
    both = WithLinear(network, model, steps=(3, 2), factor=4.0).eval()
    with torch.no_grad():
        scores, own, other = both(inputs), network(inputs[:, :3]), model(inputs[:, 3:])
        mean = sum(each(inputs[:, :3]) for each in network.networks) / 2
    torch.testing.assert_close(own, mean, atol=1e-12, rtol=0)
    torch.testing.assert_close(scores, (own + 4 * other) / 5, atol=1e-6, rtol=1e-6)
    halved = {name: tensor for name, tensor in both.state_dict().items() if name != "shares"}
    both.load_state_dict({**halved, "factor": torch.tensor(4.0)})  # as was saved before
    with torch.no_grad():
        torch.testing.assert_close(both(inputs), (own + 4 * other) / 2, atol=1e-6, rtol=1e-6)
    assert float(other.norm()) > 0
    assert (members_of(both), members_of(model)) == (2, 1)
    with pytest.raises(ValueError, match="have 3 tokens, and the network takes 3 of one kind and then 2 of another"):
        both(inputs[:, :3])


def test_the_weight_of_the_linear_model_is_that_of_the_lowest_loss() -> None:
    labels = torch.randint(3, (200,))
    good = torch.nn.functional.one_hot(labels, 3) + torch.randn(200, 3)

    def losses(scores: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(scores, labels[: len(scores)], reduction="none")

    noisy = 3 * torch.randn(200, 3)
    many, few = (linear_factor(noisy[:number], good[:number], losses) for number in (200, 20))
    assert many > max(few, 4)  # few examples say little
    assert linear_factor(good, noisy, losses) < 0.4
    assert linear_factor(good, good, losses) in LINEAR_FACTORS
    assert linear_factor(noisy[:9], good[:9], losses) == 1
