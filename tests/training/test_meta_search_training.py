"""Meta-training: every meta-gradient, the schedule of the logits, budget and progress."""

import itertools
import math

import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, LambdaCallback, ModelCheckpoint, StochasticWeightAveraging
from meta_toys import SPACE, fit, make_data, make_model

from lit_metanas.meta import TNAS, JointInnerLoop, PrototypeLinearHead, PrototypeLoss, Reptile
from lit_metanas.relaxations import SampledChild, Softmax
from lit_metanas.training import ArchitectureSchedule
from lit_metanas.training.meta_search import meta_search
from lit_metanas.training.meta_search.meta_search import default_weight_optimizer
from lit_metanas.training.trainers import Trainer


def sgd(rate):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


METHODS = {
    "sampled child": lambda: {
        "meta_gradient": PrototypeLoss(),
        "relaxation": SampledChild(),
        "weight_optimizer": lambda parameters: torch.optim.Adam(parameters, lr=3e-2),
    },
    "reptile": lambda: {
        "meta_gradient": Reptile(),
        "relaxation": Softmax(),
        "head": PrototypeLinearHead(),
        "inner_loop": JointInnerLoop(steps=2, learning_rate=0.5),
        "weight_optimizer": sgd(1.0),
        "logit_optimizer": sgd(1.0),
        "anneal": False,
    },
}


@pytest.mark.parametrize("method", METHODS)
def test_loss_falls_and_logits_move(method):
    model = make_model(batch_norm="support", **METHODS[method]())
    before = model.logits.values.detach().clone()
    _, losses = fit(model, make_data(tasks_per_step=3, steps_per_epoch=24, val_episodes=1))
    assert sum(losses[-6:]) < 0.96 * sum(losses[:6])
    moved = (model.logits.values.detach() - before).abs().split(model.logits.sizes)
    assert all(float(row.max()) > 1e-4 for row in moved if len(row) > 1)
    assert int(model.outer_steps) == model.trainer.global_step == 24


def test_a_gradient_in_another_order_in_memory_steps_as_well():
    weights = []
    for optimizer in (default_weight_optimizer, lambda parameters: torch.optim.Adam(parameters, lr=1e-2)):
        model = make_model(weight_optimizer=optimizer)
        gradient = model.meta_gradient

        def contiguous(*args, gradient=gradient, **options):
            gradients, metrics = gradient(*args, **options)
            return gradients.map(torch.Tensor.contiguous), metrics

        contiguous.flops = gradient.flops
        model.meta_gradient = contiguous
        fit(model)
        weights.append(model.meta_parameters().weights)
    assert any(not weight.is_contiguous() for weight in weights[0].values())
    for name, weight in weights[0].items():
        # Processors round sums differently, and a gradient of another order would be a step of 1e-2 away.
        torch.testing.assert_close(weight, weights[1][name], rtol=0, atol=1e-3)


def test_logits_stay_in_the_warm_up():
    model = make_model(schedule=ArchitectureSchedule(warm_up=0.5))
    rows = []
    watch = LambdaCallback(on_train_batch_end=lambda *args: rows.append(model.logits.values.detach().clone()))
    fit(model, make_data(steps_per_epoch=8), callbacks=[watch])
    zero = torch.zeros_like(rows[0])
    assert all(torch.equal(row, zero) for row in rows[:4])  # progress 0, 1/8, 2/8, 3/8
    assert all(not torch.equal(row, zero) for row in rows[4:])


def test_pruned_candidates_never_return_and_the_likeliest_stays():
    model = make_model(
        schedule=ArchitectureSchedule(warm_up=0.25, prune_below=0.499),
        logit_optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.3, weight_decay=0.5),
    )
    gone, drawn = [], []
    original = model.supernet.forward

    def spy(inputs, mixture, *args, **options):
        if gone:
            drawn.append((gone[-1], {name: gate.index for name, gate in mixture.items()}))
        return original(inputs, mixture, *args, **options)

    def look(*args):
        likeliest = {name: int(row.argmax()) for name, row in model.probabilities().items()}
        rows = dict(zip(likeliest, model.logits.pruned.split(model.logits.sizes), strict=True))
        assert not any(bool(rows[name][place]) for name, place in likeliest.items())
        gone.append({(name, place) for name, row in rows.items() for place in row.nonzero().flatten().tolist()})

    model.supernet.forward, watch = spy, LambdaCallback(on_train_batch_end=look)
    fit(model, make_data(steps_per_epoch=16, tasks_per_step=2), callbacks=[watch], limit_val_batches=0)
    assert not gone[3]
    assert gone[-1]
    assert all(early <= late for early, late in itertools.pairwise(gone))
    assert all((name, index) not in pruned for pruned, drawing in drawn for name, index in drawing.items())
    pruned_probabilities = [float(model.probabilities()[name][place]) for name, place in gone[-1]]
    assert pruned_probabilities == [0.0] * len(pruned_probabilities)


def test_flops_end_the_training_at_the_first_step_past_the_budget():
    whole = make_model()
    fit(whole, make_data(steps_per_epoch=12))
    budget = 0.5 * int(whole.spent)
    model = make_model(flops=budget, anneal=False)
    spent, progress = [0], []
    watch = LambdaCallback(
        on_train_batch_start=lambda *args: progress.append(model.progress),
        on_train_batch_end=lambda *args: spent.append(int(model.spent)),
    )
    trainer, _ = fit(model, make_data(steps_per_epoch=10**6), callbacks=[watch], max_epochs=-1)
    assert spent[-2] < budget <= spent[-1]
    assert progress == pytest.approx([value / budget for value in spent[:-1]])
    assert model.progress == 1.0
    assert "val/accuracy" in trainer.callback_metrics  # the last weights are validated
    assert 0 < len(progress) < 12


def test_progress_and_rates_follow_the_steps():
    model = make_model()
    progress, rates = [], []
    watch = LambdaCallback(
        on_train_batch_start=lambda *args: progress.append(model.progress),
        on_train_batch_end=lambda trainer, *args: rates.append(
            [own.param_groups[0]["lr"] for own in trainer.optimizers]
        ),
    )
    fit(model, make_data(steps_per_epoch=4), callbacks=[watch], max_epochs=2)
    assert progress == [step / 8 for step in range(8)]
    cosine = [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert [row[0] for row in rates] == pytest.approx([1e-2 * value for value in cosine])
    assert [row[1] for row in rates] == pytest.approx([5e-2 * value for value in cosine])
    assert model.progress == 1.0


def test_gradient_clip_bounds_the_step():
    model = make_model(weight_optimizer=sgd(1.0), gradient_clip=1e-3, anneal=False)
    before = torch.cat([value.detach().flatten() for value in model.supernet.parameters()])
    fit(model, make_data(steps_per_epoch=1))
    after = torch.cat([value.detach().flatten() for value in model.supernet.parameters()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-3)


def test_weights_step_down_the_mean_gradient_of_the_tasks():
    model = make_model(
        space=SPACE.restricted({choice.name: choice.labels[0] for choice in SPACE.choices}),
        meta_gradient=PrototypeLoss(),
        weight_optimizer=sgd(0.5),
        anneal=False,
    )
    data = make_data(steps_per_epoch=1)
    weights = {name: value.detach().clone().requires_grad_() for name, value in model.supernet.named_parameters()}
    total = 0.0
    for index in range(2):  # prototypes in plain torch
        episode = data.stream("train")[0, index]
        embedded = reference(weights, torch.cat([episode.support.inputs, episode.query.inputs]))
        prototypes = embedded[:6].view(3, 2, -1).mean(1)
        distances = ((embedded[6:, None] - prototypes) ** 2).sum(-1)
        total = total + torch.nn.functional.cross_entropy(-0.1 * distances, episode.query.labels) / 2
    total.backward()
    _, losses = fit(model, data)
    assert losses == pytest.approx([total.item()], rel=1e-5)
    for name, value in model.supernet.named_parameters():
        torch.testing.assert_close(value.detach(), (weights[name] - 0.5 * weights[name].grad).detach())


def reference(weights, images):
    """Two blocks of 1x1 convolution, batch-norm, ReLU and max-pooling, then the average."""
    for layer in (1, 2):
        prefix = f"body.layers.{layer}.conv"
        images = torch.nn.functional.conv2d(images, weights[f"{prefix}.1.weight"])
        scale, shift = weights[f"{prefix}.norm.batch.scale"], weights[f"{prefix}.norm.batch.shift"]
        images = torch.nn.functional.batch_norm(images, None, None, scale, shift, training=True)
        images = torch.nn.functional.max_pool2d(images.relu(), 2)
    return images.mean((2, 3))


@pytest.mark.parametrize("average", [EMAWeightAveraging(), StochasticWeightAveraging(1e-2)])
def test_callbacks_that_average_weights_are_refused(average):
    with pytest.raises(ValueError, match=f"{type(average).__name__} does not work with MetaSearch, whose networks are"):
        fit(make_model(shape=None), callbacks=[average])


def test_a_fixed_architecture_is_trained_alone():
    architecture = {choice.name: choice.labels[-1] for choice in SPACE.choices}
    model = make_model(architecture=architecture, meta_gradient=PrototypeLoss())
    assert model.architecture() == SPACE.canonical(architecture)
    assert not model.logits.open
    assert {name for name, _ in model.supernet.named_parameters() if name.endswith("weight")} == {
        "body.layers.1.conv.3.weight",
        "body.layers.2.conv.3.weight",
    }
    fit(model)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"query_dropout": False}, "without an inner loop query_dropout must be on"),
        ({"gradient_clip": 0.0}, "gradient_clip is 0.0; give a positive number, or leave it out"),
        ({"meta_gradient": TNAS()}, "TNAS steps on weights and logits together"),
        ({"architecture": {"layer1.kernel": "9"}}, "Choice 'layer1.kernel' has no label '9'"),
        ({"schedule": ArchitectureSchedule(prior={"kernel": "9"})}, "'kernel' has no label '9' in layer1.kernel"),
    ],
)
def test_what_does_not_go_together(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_model(**options)
    with pytest.raises(ValueError, match="it must lie between 0 and 1"):
        ArchitectureSchedule(prune_below=1.5)


@pytest.mark.parametrize(("interval", "expected"), [(1e9, [1, 3, 6, 7]), (-1.0, [1, 2, 3, 4, 5, 6, 7])])
def test_loss_is_logged_where_loggers_take_it_at_the_end_and_from_time_to_time(interval, expected, monkeypatch):
    monkeypatch.setattr(meta_search, "LOG_INTERVAL", interval)
    model = make_model()
    if interval > 0:
        model._logged = -2 * interval  # as on a machine that has run for longer
    steps, log = [], model.log

    def logged(name, *args, **options):
        if name == "train/loss":
            steps.append(int(model.outer_steps))
        log(name, *args, **options)

    monkeypatch.setattr(model, "log", logged)
    trainer, _ = fit(model, make_data(steps_per_epoch=7), log_every_n_steps=3)
    assert steps == expected
    assert "train/accuracy" in trainer.callback_metrics


def test_an_address_for_checkpoints_is_refused_before_the_first_step():
    model, callbacks = make_model(), [ModelCheckpoint("memory://run")]
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, callbacks=callbacks, enable_progress_bar=False)
    with pytest.raises(ValueError, match="'memory://run' is no path: give one, or Lightning's `TorchCheckpointIO`"):
        trainer.fit(model, make_data())
    assert int(model.outer_steps) == 0
