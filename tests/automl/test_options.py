"""The options of ``auto``: checked, normalised, and told again as a call or a command."""

from typing import Any

import pytest

from lit_metanas.automl.calls import auto
from lit_metanas.automl.options import AutoOptions
from lit_metanas.io.quantities import bytes_of, seconds_of


def test_durations() -> None:
    assert [seconds_of(each) for each in (0.5, "5ms", "5 ms", "2s", "0.25", "7us")] == [
        0.5, 0.005, 0.005, 2, 0.25, pytest.approx(7e-6),
    ]  # fmt: skip
    for wrong in ("5 min", "fast", "1e", "", "-1ms", 0, "1e400"):
        with pytest.raises(ValueError, match="is no duration"):
            seconds_of(wrong)


def test_sizes() -> None:
    assert [bytes_of(each) for each in (7, "500kB", "2 MB", "1e3", "0.5gb")] == [7, 5e5, 2e6, 1e3, 5e8]
    for wrong in ("small", "5 ms", "-1kB", "", 0, "1e400"):
        with pytest.raises(ValueError, match="is no size"):
            bytes_of(wrong)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"minutes": 1, "flops": 1e9}, "auto: give minutes or flops, not both"),
        ({"minutes": 0}, "auto: minutes = 0 must be a number above 0"),
        ({"minutes": float("nan")}, "auto: minutes = nan must be a number above 0"),
        ({"minutes": "1"}, "auto: minutes = '1' must be a number above 0"),
        ({"minutes": 1e300}, r"auto: minutes = 1e\+300 must be at most 1e\+06\."),
        ({"flops": (1e9, 0.0)}, "auto: flops = 0.* must be a number above 0"),
        ({"flops": (1e9, 1e40)}, r"auto: flops = 1e\+40 must be at most 1e\+24\."),
        ({"flops": (1e6, 1e6, 1e6)}, "auto: flops are one number, or two"),
        ({"seed": -1}, "auto: seed = -1 must be a whole number from 0"),
        ({"seed": 2**63}, f"auto: seed = {2**63} must be"),
        ({"seed": 0.5}, r"auto: seed = 0\.5 must be"),
        ({"seed": "0"}, "auto: seed = '0' must be"),
        ({"seed": None}, "auto: seed = None must be"),
        ({"max_parameters": "10k"}, "max_parameters = '10k' must be a number above 0"),
        ({"max_flops": 0}, "max_flops = 0 must be a number above 0"),
        ({"pareto": "shoes"}, "no front can be made for pareto = 'shoes': give parameters, flops or latency"),
        ({"onnx": True}, "auto: onnx is a file in the output: give 'output', too"),
        ({"wandb": "a/b"}, "auto: wandb = 'a/b' must be a project's name, without"),
        ({"unlabelled": "more"}, "auto: unlabelled examples need a teacher: give 'student'"),
        ({"student": True, "pareto": "flops"}, "has one teacher: leave 'pareto' out"),
        ({"student": True}, "auto: the teacher of a student is kept in the output: give 'output', too"),
    ],
)
def test_what_is_out_of_range_is_named(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AutoOptions("data", **given)


def test_a_misspelt_option_is_named() -> None:
    misspelt: dict[str, Any] = {"minuts": 3}
    with pytest.raises(TypeError, match="auto has no option 'minuts': did you mean 'minutes'"):
        auto("data", **misspelt)


def test_a_command_repeats_what_was_given_and_nothing_else() -> None:
    options = AutoOptions(
        "-my data", minutes=3, output="out/", group="-g", max_latency="7us", max_size="2MB", threads=None, onnx=True,
        progress=False,
    )  # fmt: skip
    assert options.repeated((1e9, 2.5), "32-true", from_shell=True) == (
        "lit-metanas auto '--data=-my data' --flops '[1000000000,2.5]' --seed 0 --group=-g --max_latency 7us "
        "--max_size 2MB --threads null --output out_again"
    )
    assert options.repeated((1.0, 2.0), "bf16-mixed", from_shell=False) == (
        "lm.auto('-my data', flops=[1,2], seed=0, precision='bf16-mixed', group='-g', max_latency='7us', "
        "max_size='2MB', threads=None)"
    )
