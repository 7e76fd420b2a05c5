import pytest

from lit_metanas.callbacks import StableArchitecture


def test_stops_after_patience(fit, module, capsys):
    trainer = fit(module, [StableArchitecture(patience=3, start=0.0)], epochs=20)
    assert "The architecture was the same in 4 validations: " in capsys.readouterr().out
    assert trainer.current_epoch == 4  # the first sighting and three confirmations


def test_start_puts_it_off(fit, drifting):
    trainer = fit(drifting(batches=40), [StableArchitecture(patience=1, start=0.5)], epochs=20)
    assert trainer.current_epoch == 6  # epochs of 4 batches: half of 40 is reached after the fifth


def test_a_change_starts_the_count_anew(fit, drifting):
    class Flips(drifting):
        def architecture(self):
            flipped = 8 <= int(self.trained) < 16
            return self.space.derive({k: -v if flipped else v for k, v in self.probabilities().items()})

    trainer = fit(Flips(), [StableArchitecture(patience=2, start=0.0)], epochs=20)
    # seen at 4, 8 (other), 12 (confirmed once), 16 (back), 20 and 24 (twice)
    assert trainer.current_epoch == 6


def test_entropy_bound_waits_for_a_decision(fit, drifting):
    early = fit(drifting(), [StableArchitecture(patience=1, start=0.0)], epochs=20)
    late = fit(drifting(), [StableArchitecture(patience=1, start=0.0, entropy=0.05)], epochs=20)
    assert early.current_epoch == 2
    assert 2 < late.current_epoch < 20


def test_count_survives_a_resume(fit, drifting, tmp_path):
    trainer = fit(drifting(), [StableArchitecture(patience=4, start=0.0)], epochs=3)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = fit(drifting(), [StableArchitecture(patience=4, start=0.0)], epochs=20, ckpt_path=str(tmp_path / "a.ckpt"))
    assert again.current_epoch == 5


@pytest.mark.parametrize(("arguments", "message"), [({"patience": 0}, "patience is 0"), ({"start": 1.0}, "start is 1")])
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        StableArchitecture(**arguments)
