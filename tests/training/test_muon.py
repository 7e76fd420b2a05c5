"""Muon: orthogonal steps against plain loops and torch's own, and what is left to AdamW."""

import copy

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.training.muon import ROWS_AT_ONCE, Muon, matrices_of, orthogonalised

ROUNDS = 5


def plainly_orthogonalised(matrix):
    """Newton and Schulz's iteration as Jordan writes it down, in float64."""
    one = matrix.double()
    one = one / one.norm()
    for _ in range(ROUNDS):
        if one.shape[0] <= one.shape[1]:
            gram = one @ one.T
            one = 3.4445 * one + (-4.7750 * gram + 2.0315 * gram @ gram) @ one
        else:
            gram = one.T @ one
            one = 3.4445 * one + one @ (-4.7750 * gram + 2.0315 * gram @ gram)
    return one


@pytest.mark.parametrize("shape", [(4, 4), (3, 40), (40, 3), (ROWS_AT_ONCE, 2 * ROWS_AT_ONCE), (1, 7)])
def test_a_matrix_is_made_orthogonal_as_by_a_plain_loop(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalised(matrix)
    torch.testing.assert_close(orthogonalised(matrix.double()), plainly_orthogonalised(matrix), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.double(), plainly_orthogonalised(matrix), rtol=1e-4, atol=1e-4)


def test_singular_values_are_near_one_and_the_vectors_stay():
    matrix = torch.randn(20, 50, generator=torch.Generator().manual_seed(2))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalised(matrix) @ right.T
    assert values.max() > 2 * values.min()
    assert ((turned.diagonal() > 0.65) & (turned.diagonal() < 1.25)).all()
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-4


def test_a_large_matrix_is_made_orthogonal_in_blocks_of_its_shorter_side():
    matrix = torch.randn(2 * ROWS_AT_ONCE + 3, 3 * ROWS_AT_ONCE, generator=torch.Generator().manual_seed(2))
    blocks = [orthogonalised(block) for block in matrix.split(ROWS_AT_ONCE)]
    assert torch.equal(orthogonalised(matrix), torch.cat(blocks))
    assert torch.equal(orthogonalised(matrix.T), torch.cat(blocks).T)


def test_tiny_gradients_are_numbers_and_make_small_steps_and_zeros_stay_so():
    assert torch.equal(orthogonalised(torch.zeros(3, 5)), torch.zeros(3, 5))
    matrix = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    for size in (1e-25, 1e-12):
        assert 0 <= orthogonalised(size * matrix).abs().max() < 0.01


def test_rows_of_eight_bits_are_computed_with_more():
    matrix = torch.randn(64, 1, generator=torch.Generator().manual_seed(1)) @ torch.ones(1, 70)
    found = orthogonalised(matrix.bfloat16())
    assert found.dtype == torch.bfloat16
    assert torch.linalg.matrix_norm(found.float(), 2) < 1.3


def test_a_layer_that_gets_no_more_gradients_comes_to_rest():
    one = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = Muon(one, lr=0.01, weight_decay=0.0)
    gradients(one, 0)
    for _ in range(1500):
        optimizer.step()
        for weight in one.parameters():
            weight.grad.zero_()
    before = one[0].weight.detach().clone()
    optimizer.step()
    assert before.isfinite().all()
    assert torch.equal(one[0].weight, before)


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Flatten(),
        nn.Linear(24, 8),
        nn.Linear(8, 2),
    )


def test_convolutions_and_hidden_matrices_are_orthogonal_and_nothing_else():
    one = network()
    assert [*map(id, matrices_of(one))] == [id(one[0].weight), id(one[4].weight)]
    texts = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    assert [*map(id, matrices_of(texts))] == [id(texts[1].weight)]
    assert matrices_of(nn.Sequential(nn.Linear(4, 2))) == []
    frozen = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 2).requires_grad_(requires_grad=False))
    assert [*map(id, matrices_of(frozen))] == [id(frozen[0].weight)]


def gradients(one: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in one.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def test_steps_of_matrices_against_those_of_torch():
    one = network()
    mine = one[4].weight.detach().clone()
    theirs = nn.Parameter(mine.clone())
    optimizer = Muon(one, lr=0.01, weight_decay=0.1)
    torchs = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        gradients(one, step)
        theirs.grad = one[4].weight.grad.clone()
        optimizer.step()
        torchs.step()
    moved = one[4].weight.detach() - mine
    assert moved.abs().mean() > 0.003
    # torch's rounds to bf16, which has eight bits
    torch.testing.assert_close(moved, theirs.detach() - mine, rtol=0.1, atol=0.03 * moved.abs().max().item())


def test_a_convolution_takes_the_step_of_its_matrix_in_any_memory_format():
    one, other = network(), network().to(memory_format=torch.channels_last)
    matrix = nn.Sequential(nn.Linear(27, 6, bias=False), nn.Linear(6, 2))
    matrix[0].weight.data = one[0].weight.detach().flatten(1).clone()
    optimizers = [Muon(each, lr=0.01, weight_decay=0.1) for each in (one, other, matrix)]
    for step in range(3):
        gradients(one, step)
        for own, each in zip(one.parameters(), other.parameters(), strict=True):
            each.grad = own.grad.clone(memory_format=torch.preserve_format)
        matrix[0].weight.grad = one[0].weight.grad.flatten(1).clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(one[0].weight.flatten(1), matrix[0].weight)
    torch.testing.assert_close(one[0].weight, other[0].weight)


def test_all_other_weights_take_the_steps_of_adamw():
    one, plain = network(), network()
    optimizer = Muon(one, lr=0.01, weight_decay=0.1)
    adamw = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(3):
        gradients(one, step)
        gradients(plain, step)
        optimizer.step()
        adamw.step()
    orthogonal = {*matrices_of(one)}
    assert len(orthogonal) == 2
    for own, other in zip(one.parameters(), plain.parameters(), strict=True):
        if own in orthogonal:
            assert not torch.allclose(own, other, atol=1e-3)
        else:
            torch.testing.assert_close(own, other)


def test_a_schedule_reaches_all_weights_and_a_state_goes_on():
    one, other = network(), network()
    optimizer, later = (Muon(each, lr=0.01, weight_decay=0.0) for each in (one, other))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    gradients(one, 0)
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.005])
    other.load_state_dict(one.state_dict())
    later.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each in (one, other):
        gradients(each, 1)
    optimizer.step()
    later.step()
    for own, copied in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(own, copied)


def test_steps_are_as_long_as_the_rate_of_their_group():
    moved = []
    for rate in (0.01, 0.005):
        one = network()
        optimizer = copy.deepcopy(Muon(one, lr=0.01, weight_decay=0.0))
        optimizer.param_groups[1]["lr"] = rate
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.ones_like(weight)
        before = optimizer.matrices[1].detach().clone()
        optimizer.step()
        moved.append(optimizer.matrices[1].detach() - before)
    torch.testing.assert_close(moved[0], 2 * moved[1])
    assert moved[0].abs().max() > 0


def test_a_child_has_the_optimizer_of_its_recipe():
    space = lm.LayeredSpace()
    architecture = space.sample(torch.Generator().manual_seed(0))
    for name, found in (("muon", Muon), ("adamw", torch.optim.AdamW)):
        recipe = lm.Recipe(optimizer=name)
        child = lm.Child(space=space, architecture=architecture, shape=(1, 8, 8), way=2, recipe=recipe)
        assert type(child.optimizer_for(10)[0]) is found
    with pytest.raises(ValueError, match="optimizer is 'sgd'; use adamw, muon"):
        lm.Recipe(optimizer="sgd")


def test_a_closure_is_called_with_gradients():
    one, inputs = network(), torch.rand(4, 3, 6, 6)
    optimizer = Muon(one, lr=0.01, weight_decay=0.0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = one(inputs).square().mean()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(20)]
    assert losses[-1] < losses[0] / 2
