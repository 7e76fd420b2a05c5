"""A teacher and its student on the same test examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lit_metanas.io.text import markdown_lines, markdown_text
from lit_metanas.records.budget import Cost
from lit_metanas.records.statistics import percent


@dataclass(frozen=True)
class TeacherComparison:
    """A teacher and the student that learned from it, on the same test examples.

    Attributes:
        place: of the teacher.
        score: of the teacher, by the student's metric.
        ahead: how far the student's score is above it.
        half: half width of the 95 % confidence interval of that difference, pair by pair; NaN for one test example.
        agreement: the student's score, with what the teacher says as the truth.
        sizes: bytes of the exported programs, of the student and of the teacher.
        latencies: seconds of a forward pass of each; NaN if it was not measured.
        cost: of the teacher's outputs: forward passes of each example, once.
        further: the examples without targets that the student also learned from, in words; empty for none.
    """

    place: str
    score: float
    ahead: float
    half: float
    agreement: float
    sizes: tuple[int, int]
    latencies: tuple[float, float]
    cost: Cost
    further: str = ""

    def rows(self, metric: str, value: float, reach: float) -> list[tuple[str, ...]]:
        """A table of both, the heading first; ``reach``: half the width of the interval of the student's score."""
        rows: list[tuple[str, ...]] = [
            ("", "student", "teacher"),
            (f"test {metric}", f"{percent(value, reach)} %", f"{percent(self.score)} %"),
            ("size of the program", *(f"{size / 1e6:.3f} MB" for size in self.sizes)),
        ]
        if not any(map(math.isnan, self.latencies)):
            rows.append(("latency", *(f"{1e3 * seconds:.3g} ms" for seconds in self.latencies)))
        return rows

    def markdown(self, metric: str, value: float, reach: float) -> str:
        """The same as Markdown, with the sentence below."""
        heading, *rows = self.rows(metric, value, reach)
        lines = markdown_lines([heading, ("---",) * len(heading), *rows])
        return f"{lines}\n\n{markdown_text(self.sentence[:1].upper() + self.sentence[1:], 400)}\n"

    @property
    def sentence(self) -> str:
        """The difference of both, and how often they agree."""
        learned = ""
        if self.further:
            learned = f" It also learned from {self.further}."
        return (
            f"the student is {100 * self.ahead:+.1f} ± {100 * self.half:.1f} points ahead of its teacher in "
            f"'{self.place}', pair by pair, and agrees with it by {100 * self.agreement:.1f} %.{learned} The teacher's "
            f"outputs cost {self.cost.flops:.3g} FLOPs, once."
        )
