import re
from pathlib import Path

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from lit_metanas.callbacks import EpisodeProgressBar
from lit_metanas.callbacks.progress_bar import EpisodeMeter, clock_time, episodes_in, line_parts


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_meter_counts_rate_and_time_left():
    clock = Clock()
    meter = EpisodeMeter(clock=clock)
    assert (meter.total, meter.remaining, meter.rate) == (None, None, 0.0)
    clock.now += 20
    meter.update(50, 0.25)
    assert (meter.done, meter.total, meter.rate) == (50, 200, 2.5)
    assert meter.remaining == pytest.approx(60)
    clock.now += 60
    meter.update(150, 1.7)
    assert (meter.done, meter.total, meter.remaining) == (200, 200, 0)


def test_meter_of_a_resumed_training_looks_at_what_was_done_since():
    clock = Clock()
    meter = EpisodeMeter(done=500, share=0.5, clock=clock)
    clock.now += 10
    meter.update(100, 0.6)
    assert meter.rate == pytest.approx(10)
    assert meter.remaining == pytest.approx(40)
    assert meter.total == 1000


def test_the_step_that_exceeds_the_budget_counts():
    for episodes in (1, 3):
        meter, totals = EpisodeMeter(), set()
        for step in range(1, 45):  # a step takes a share of 1 / 43.4
            meter.update(episodes, min(step / 43.4, 1))
            totals.add(meter.total)
        assert totals == {44 * episodes}
    for steps in range(1, 200):  # where shares are those of whole steps, there is no further one
        meter = EpisodeMeter()
        for step in range(1, steps + 1):
            meter.update(3, step / steps)
            assert meter.total == 3 * steps


def test_times_and_slow_tasks_read_well():
    times = [clock_time(seconds) for seconds in (None, 7.4, 59.6, 3723)]
    assert times == ["-:--", "0:07", "1:00", "1:02:03"]
    clock = Clock()
    meter = EpisodeMeter(clock=clock)
    clock.now += 100
    meter.update(2, 0.5)
    assert line_parts("search", meter, "", {})[1:3] == ["2/4 tasks", "1.2/min"]


def test_line_reads_well():
    clock = Clock()
    meter = EpisodeMeter(clock=clock)
    clock.now += 100
    meter.update(1250, 0.1)
    parts = line_parts("meta-train", meter, "validating 3/8", {"loss": 1.25, "accuracy": 0.612})
    line = "  ".join(parts)
    assert line == (
        "meta-train  1 250/12 500 episodes  12.5/s  elapsed 1:40  left 15:00  loss 1.250  accuracy 61.2 %"
        "  validating 3/8"
    )


def test_episodes_of_a_batch(batches):
    batch = next(iter(batches(3)))
    assert episodes_in(batch) == 3
    assert episodes_in(batch[0]) == 1
    assert episodes_in([1, 2]) == 1


def trainer_with(bar, tmp_path, **arguments):
    return Trainer(
        callbacks=[bar], logger=False, default_root_dir=tmp_path, accelerator="cpu", enable_model_summary=False,
        enable_checkpointing=False, log_every_n_steps=1, **arguments,
    )  # fmt: skip


def test_log_file_gets_few_plain_lines(module, batches, tmp_path, capfd):
    trainer = trainer_with(EpisodeProgressBar(interval=1000), tmp_path, max_epochs=5, num_sanity_val_steps=1)
    trainer.fit(module, batches(), batches())
    lines = capfd.readouterr().err.splitlines()
    ours = [line for line in lines if "episodes" in line]
    assert len(ours) == 2  # at the start and at the end
    assert re.search(r"meta-train  60/60 episodes  [\d.]+/s  elapsed [\d:]+  left 0:00", ours[-1])
    assert "loss 1.250  accuracy 61.2 %  val 50.0 %" in ours[-1]
    assert not any("\r" in line or "\x1b" in line for line in ours)


class SavesBetweenSteps(Callback):
    """Writes a checkpoint when the seventh batch is about to begin."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 2:
            trainer.save_checkpoint("between.ckpt")


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_training_resumed_within_an_epoch_shows_right_numbers(module, batches, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = trainer_with(EpisodeProgressBar(), tmp_path, max_epochs=2, limit_val_batches=0)
    first.callbacks.append(SavesBetweenSteps())
    first.fit(module, batches(), batches())
    capfd.readouterr()
    second = trainer_with(EpisodeProgressBar(interval=1e-9), tmp_path, max_epochs=2, limit_val_batches=0)
    second.fit(module, batches(), batches(), ckpt_path="between.ckpt", weights_only=False)
    lines = [line for line in capfd.readouterr().err.splitlines() if "episodes" in line]
    assert [re.search(r"\d+/\d+", line)[0] for line in lines[:2]] == ["21/24", "24/24"]
    assert all(re.search(r"left \d:\d\d", line) for line in lines)


def test_total_follows_the_modules_progress(drifting, batches, tmp_path, capfd):
    # The module would stop after 16 batches of 3 episodes; the trainer's own limit is far away.
    bar = EpisodeProgressBar(interval=1e-9)
    trainer = trainer_with(bar, tmp_path, max_epochs=1000, limit_val_batches=0)
    module = drifting(batches=16)
    original = module.training_step

    def stopping(batch, batch_idx):
        original(batch, batch_idx)
        trainer.should_stop = int(module.trained) >= 8

    module.training_step = stopping
    trainer.fit(module, batches(), batches())
    ours = [line for line in capfd.readouterr().err.splitlines() if "episodes" in line]
    assert all("/48 episodes" in line for line in ours)


def test_test_and_validate_have_their_own_lines(module, batches, tmp_path, capfd):
    trainer = trainer_with(EpisodeProgressBar(interval=1000), tmp_path)
    trainer.test(module, batches(), verbose=False)
    trainer.validate(module, batches(), verbose=False)
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("meta-test  12/12 episodes") for line in lines)
    assert any(line.startswith("validate  12/12 episodes") and "accuracy 50.0 %" in line for line in lines)


def test_other_ranks_are_silent(module, batches, tmp_path, capfd):
    bar = EpisodeProgressBar(interval=1e-9)
    bar.disable()
    trainer_with(bar, tmp_path, max_epochs=1, limit_val_batches=0).fit(module, batches(), batches())
    assert "episodes" not in capfd.readouterr().err


class Searching(LightningModule):
    results = records = ()
    directory = Path()

    def predict_step(self, batch, batch_idx):
        return batch


class Predicting(LightningModule):
    def predict_step(self, batch, batch_idx):
        return batch


@pytest.mark.parametrize(("made", "line"), [(Searching, "search  3/3 tasks"), (Predicting, "predict  3/3 batches")])
def test_a_search_counts_tasks(made, line, tmp_path, capfd):
    trainer = trainer_with(EpisodeProgressBar(interval=1000), tmp_path)
    trainer.predict(made(), DataLoader(range(3), batch_size=None), return_predictions=False)
    assert any(each.startswith(line) for each in capfd.readouterr().err.splitlines())


@pytest.mark.parametrize(("columns", "bar", "elapsed"), [(200, True, True), (120, True, True), (79, False, False)])
def test_terminal_gets_one_line_in_place(columns, bar, elapsed, module, batches, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the stream for a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    trainer_with(EpisodeProgressBar(), tmp_path, max_epochs=2).fit(module, batches(), batches())
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capfd.readouterr().err)
    *_, line = (line.strip() for line in plain.splitlines() if "24/24 episodes" in line)
    assert len(line) <= columns
    assert line.startswith("meta-train")
    assert "accuracy 61.2 %" in line
    assert ("━" in line) == bar
    assert ("elapsed" in line) == elapsed


def test_wrong_interval_is_named():
    with pytest.raises(ValueError, match="interval is 0"):
        EpisodeProgressBar(interval=0)
