"""Distances to class means, by a matrix product."""

import pytest
import torch
from cipher_tasks import quiet_trainer

import lit_metanas as lm
from lit_metanas.meta.heads import PrototypeHead, squared_distances


def pairwise(points, centres):
    return (points.double().unsqueeze(1) - centres.double().unsqueeze(0)).square().sum(-1)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_distances_are_exact_however_far_the_features_are_from_zero(offset):
    points, centres = offset + torch.rand(7, 5), offset + torch.rand(3, 5)
    torch.testing.assert_close(
        squared_distances(points, centres).double(), pairwise(points, centres), rtol=1e-4, atol=0
    )


def test_the_gradient_is_that_of_the_differences():
    points, centres = torch.rand(7, 5, dtype=torch.float64), torch.rand(3, 5, dtype=torch.float64)
    weights = torch.rand(7, 3, dtype=torch.float64)
    found, expected = (
        torch.func.grad(lambda both, f=function: (weights * f(*both)).sum())((points, centres))
        for function in (squared_distances, pairwise)
    )
    torch.testing.assert_close(found, expected)


def test_a_learned_scale_begins_with_the_given_one_and_has_a_gradient():
    features, support, labels = torch.rand(4, 5), torch.rand(2, 5), torch.tensor([0, 1])
    fixed, learned = PrototypeHead(scale=0.3), PrototypeHead(scale=0.3, learned=True)
    meta = learned.initial(5, torch.Generator())
    head = learned.start(meta, support, labels, 2)
    scores = learned.scores(head, features, support, labels, 2)
    torch.testing.assert_close(scores, fixed.scores({}, features, support, labels, 2))
    log_scale = head["log_scale"].requires_grad_()
    (gradient,) = torch.autograd.grad(learned.scores(head, features, support, labels, 2).sum(), log_scale)
    torch.testing.assert_close(gradient, scores.sum())
    assert fixed.initial(5, torch.Generator()) == {}
    with pytest.raises(ValueError, match="scale is 0; give a number above 0"):
        PrototypeHead(scale=0)


def test_unit_length_compares_angles_alone():
    features, support, labels = torch.randn(4, 5), torch.randn(6, 5), torch.tensor([0, 0, 0, 1, 1, 1])
    head = PrototypeHead(scale=3.0, unit=True)
    scores = head.scores({}, features, support, labels, 2)
    lengths = torch.rand(6, 1) + 0.5
    torch.testing.assert_close(head.scores({}, 7 * features, lengths * support, labels, 2), scores)
    directions = torch.nn.functional.normalize(support, dim=1).view(2, 3, 5).mean(1)
    cosines = torch.nn.functional.cosine_similarity(features[:, None], directions[None], dim=2)
    torch.testing.assert_close(scores, 3 * (2 * cosines - 2))


def test_a_meta_training_moves_the_learned_scale(tmp_path):
    source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
    head = lm.meta.PrototypeHead(scale=2.0, learned=True, unit=True)
    model = lm.MetaSearch(space=lm.LayeredSpace(shared=True, widths=(4,)), head=head)
    trainer = quiet_trainer(limit_val_batches=0)
    trainer.fit(model, lm.EpisodeDataModule(source, way=2, steps_per_epoch=2))
    assert model.head["log_unit_scale"].exp().item() != pytest.approx(2.0)
    trainer.save_checkpoint(tmp_path / "start.ckpt")
    options = {"space": model.space, "shape": model.shape, "start": str(tmp_path / "start.ckpt")}
    again = lm.MetaSearch(**options, head=head)
    assert torch.equal(again.head["log_unit_scale"], model.head["log_unit_scale"])
    with pytest.warns(UserWarning, match=r"\(log_unit_scale\) is not that of the model \(PrototypeHead\), which"):
        lm.MetaSearch(**options)
