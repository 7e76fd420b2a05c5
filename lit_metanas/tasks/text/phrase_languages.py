"""Phrases made from Unicode's Common Locale Data Repository, in one language after the other."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lit_metanas.io.packages import import_extra

_FIRST_DAY, _DAYS = datetime.date(1990, 1, 1), 15_000
_MOST_SECONDS = 300_000_000
_UNITS = (
    "area-square-kilometer", "duration-day", "duration-hour", "duration-minute", "duration-month", "duration-week",
    "duration-year", "length-centimeter", "length-kilometer", "length-meter", "length-millimeter", "mass-gram",
    "mass-kilogram", "temperature-celsius", "volume-liter",
)  # fmt: skip


def languages() -> list[str]:
    """The codes of the languages whose names of countries and languages, dates and units are known."""
    babel, data = (import_extra(name, "text", "Phrases") for name in ("babel", "babel.localedata"))
    nobody = _samples(babel.Locale("root"))
    found: dict[tuple[str, ...], str] = {}
    for code in sorted(code for code in data.locale_identifiers() if "_" not in code):
        locale = babel.Locale(code)
        named = len(_countries(locale)) >= 200 and len(_tongues(locale)) >= 60
        # What a language lacks is filled in from the root.
        if named and all(own != none for own, none in zip(_samples(locale), nobody, strict=True)):
            found.setdefault(tuple(_tongues(locale)), code)  # `nb` and `no` are two codes of one language
    return list(found.values())


def script_of(language: str) -> str:
    """The script that a language is mostly written in, for instance ``Latn``."""
    likely = import_extra("babel.core", "text", "Phrases").get_global("likely_subtags")
    parts = str(likely.get(language, "")).split("_")
    return parts[1] if len(parts) > 1 else "Zyyy"


def phrases_of(language: str, number: int) -> list[str]:
    """Phrases of a language, each once: the same arguments always give the same.

    Args:
        language: its code.
        number: how many are made.
    """
    seed = int.from_bytes(hashlib.sha256(language.encode()).digest()[:8])
    writer = _Writer(language, np.random.default_rng(seed))
    makers = (writer.date, writer.duration, writer.countries, writer.measures, writer.tongues, writer.months)
    made = (" ".join(makers[i % len(makers)]().split()) for i in range(number))
    return list(dict.fromkeys(made))


class _Writer:
    """Writes phrases of one language with what it draws."""

    def __init__(self, language: str, generator: np.random.Generator) -> None:
        self.babel = {name: import_extra(f"babel.{name}", "text", "Phrases") for name in ("dates", "lists", "units")}
        self.locale = import_extra("babel", "text", "Phrases").Locale.parse(language)
        self.generator = generator

    def date(self) -> str:
        day = _FIRST_DAY + datetime.timedelta(days=int(self.generator.integers(_DAYS)))
        return str(self.babel["dates"].format_date(day, self._one(("full", "long")), locale=self.locale))

    def duration(self) -> str:
        span = datetime.timedelta(seconds=int(np.exp(self.generator.uniform(1, np.log(_MOST_SECONDS)))))
        direction = bool(self.generator.integers(2))
        way = {"threshold": 1.5, "add_direction": direction, "locale": self.locale}
        return str(self.babel["dates"].format_timedelta(span if self.generator.integers(2) else -span, **way))

    def countries(self) -> str:
        return self._list(self._some(_countries(self.locale), 2, 5))

    def tongues(self) -> str:
        return self._list(self._some(_tongues(self.locale), 2, 5))

    def months(self) -> str:
        names = self.locale.months["stand-alone"]["wide"].values()
        days = self.locale.days["stand-alone"]["wide"].values()
        return self._list([*self._some(list(days), 1, 3), *self._some(list(names), 1, 3)])

    def measures(self) -> str:
        write = self.babel["units"].format_unit
        units = self._some(_UNITS, 1, 3)
        return self._list([write(int(self.generator.integers(2, 100)), u, "long", locale=self.locale) for u in units])

    def _one(self, values: Sequence[str]) -> str:
        return values[int(self.generator.integers(len(values)))]

    def _some(self, values: Sequence[str], least: int, most: int) -> list[str]:
        number = int(self.generator.integers(least, most))
        return [values[int(place)] for place in self.generator.permutation(len(values))[:number]]

    def _list(self, parts: list[str]) -> str:
        return str(self.babel["lists"].format_list(parts, locale=self.locale))


def _samples(locale: Any) -> list[str]:
    """A date and two measures."""
    dates, units = (import_extra(f"babel.{name}", "text", "Phrases") for name in ("dates", "units"))
    measures = [units.format_unit(3, unit, "long", locale=locale) for unit in ("duration-day", "length-kilometer")]
    return [dates.format_date(_FIRST_DAY, "full", locale=locale), *measures]


def _countries(locale: Any) -> list[str]:
    """The names of countries and territories, but of continents, whose codes are numbers."""
    return [str(name) for code, name in sorted(locale.territories.items()) if code.isalpha()]


def _tongues(locale: Any) -> list[str]:
    """The names of languages, but of their variants."""
    return [str(name) for code, name in sorted(locale.languages.items()) if "_" not in code]
