"""Which steps of a meta-training log their loss."""

import pytest
from meta_toys import fit, make_data, make_model

from lit_metanas.training.meta_search import meta_search


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


def test_cost_of_a_fixed_architectures_step_is_counted_once(monkeypatch):
    model = make_model(meta_gradient=None, relaxation=None, architecture=dict(make_model().architecture()))
    calls, flops = [], model.meta_gradient.flops
    monkeypatch.setattr(model.meta_gradient, "flops", lambda *args: calls.append(1) or flops(*args))
    fit(model, make_data(steps_per_epoch=3))
    assert len(calls) == 1
    assert int(model.spent) == 3 * 2 * next(iter(model._flops_of_size.values()))
