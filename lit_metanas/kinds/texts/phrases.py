"""Phrases made from Unicode's Common Locale Data Repository, in one language after the other."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.texts.byte_pairs import BytePairs
from lit_metanas.kinds.texts.text_source import CachedTexts, Subsets, without_shared
from lit_metanas.tasks.source import SUBSETS, Subset

_FIRST_DAY, _DAYS = datetime.date(1990, 1, 1), 15_000
_MOST_SECONDS = 300_000_000
_UNITS = (
    "area-square-kilometer", "duration-day", "duration-hour", "duration-minute", "duration-month", "duration-week",
    "duration-year", "length-centimeter", "length-kilometer", "length-meter", "length-millimeter", "mass-gram",
    "mass-kilogram", "temperature-celsius", "volume-liter",
)  # fmt: skip

Code = TypeVar("Code", str, int)


def languages(script: str | None = None) -> list[str]:
    """The codes of the languages whose names of countries and languages, dates and units are known."""
    babel, data = (import_extra(name, "text", "Phrases") for name in ("babel", "babel.localedata"))
    nobody = _samples(babel.Locale("root"))
    found: dict[tuple[str, ...], str] = {}
    for code in sorted(code for code in data.locale_identifiers() if "_" not in code):
        if script not in (None, script_of(code)):
            continue
        locale = babel.Locale(code)
        countries, tongues = _countries(locale), _tongues(locale)
        # What a language lacks is filled in from the root.
        own = zip(_samples(locale), nobody, strict=True)
        if len(countries) >= 200 and len(tongues) >= 60 and all(one != none for one, none in own):
            found.setdefault(tuple(tongues.values()), code)  # `nb` and `no` are two codes of one language
    return list(found.values())


def script_of(language: str) -> str:
    """The script that a language is mostly written in, for instance ``Latn``."""
    likely = import_extra("babel.core", "text", "Phrases").get_global("likely_subtags")
    parts = str(likely.get(language, "")).split("_")
    return parts[1] if len(parts) > 1 else "Zyyy"


def phrases_of(language: str, number: int) -> list[str]:
    """Phrases of a language, each once: the same arguments always give the same."""
    seed = int.from_bytes(hashlib.sha256(language.encode()).digest()[:8])
    writer = PhraseWriter(language)
    draw = PhraseDraw(np.random.default_rng(seed), writer.names)
    return list(dict.fromkeys(writer.write(draw.phrase(PHRASE_KINDS[i % len(PHRASE_KINDS)])) for i in range(number)))


class Names(NamedTuple):
    """Codes of what a language has names for."""

    countries: list[str]
    tongues: list[str]
    days: list[int]
    months: list[int]

    def shared(self, other: Names) -> Names:
        """What another language has names for, too, in this one's order."""
        return Names(
            _shared(self.countries, other.countries),
            _shared(self.tongues, other.tongues),
            _shared(self.days, other.days),
            _shared(self.months, other.months),
        )


def _shared(own: list[Code], other: list[Code]) -> list[Code]:
    known = frozenset(other)
    return [code for code in own if code in known]


class PhraseWriter:
    """Writes phrases in a language."""

    def __init__(self, language: str) -> None:
        self._babel = {name: import_extra(f"babel.{name}", "text", "Phrases") for name in ("dates", "lists", "units")}
        self._locale = import_extra("babel", "text", "Phrases").Locale.parse(language)
        self._countries, self._tongues = _countries(self._locale), _tongues(self._locale)
        self._days = self._locale.days["stand-alone"]["wide"]
        self._months = self._locale.months["stand-alone"]["wide"]

    @property
    def names(self) -> Names:
        """What the language has names for."""
        return Names(*map(list, (self._countries, self._tongues, self._days, self._months)))

    def write(self, phrase: Phrase) -> str:
        """A phrase in this language, in one line."""
        return " ".join(phrase(self).split())

    def letters(self) -> str:
        """All that names and measures are written with, each once, with spaces between."""
        measures = self.measures([number for number in (1, 2, 5) for _ in _UNITS], 3 * _UNITS)
        names = (self._countries, self._tongues, self._days, self._months)
        texts = [measures, *(str(name) for named in names for name in named.values())]
        texts += [self.date(_FIRST_DAY.replace(month=month), "full") for month in range(1, 13)]
        return " ".join(sorted(set("".join(texts)) - {" "}))

    def date(self, day: datetime.date, length: str) -> str:
        """A date, ``full`` or ``long``."""
        return str(self._babel["dates"].format_date(day, length, locale=self._locale))

    def duration(self, span: datetime.timedelta, directed: bool) -> str:
        """A time span, rounded to one unit; ``directed`` tells whether it has passed or is to come."""
        way = {"threshold": 1.5, "add_direction": directed, "locale": self._locale}
        return str(self._babel["dates"].format_timedelta(span, **way))

    def countries(self, codes: Sequence[str]) -> str:
        """A list of countries."""
        return self._list([self._countries[code] for code in codes])

    def tongues(self, codes: Sequence[str]) -> str:
        """A list of languages."""
        return self._list([self._tongues[code] for code in codes])

    def calendar(self, days: Sequence[int], months: Sequence[int]) -> str:
        """A list of days of the week and months."""
        return self._list([*(str(self._days[day]) for day in days), *(str(self._months[month]) for month in months)])

    def measures(self, numbers: Sequence[int], units: Sequence[str]) -> str:
        """A list of measures."""
        write = self._babel["units"].format_unit
        pairs = zip(numbers, units, strict=True)
        return self._list([write(number, unit, "long", locale=self._locale) for number, unit in pairs])

    def _list(self, parts: list[str]) -> str:
        return str(self._babel["lists"].format_list(parts, locale=self._locale))


Phrase = Callable[[PhraseWriter], str]
"""What is said, in whatever language."""

PhraseKind = Literal["date", "duration", "countries", "measures", "languages", "calendar"]
PHRASE_KINDS: tuple[PhraseKind, ...] = get_args(PhraseKind)


class PhraseDraw:
    """Draws what phrases say."""

    def __init__(self, generator: np.random.Generator, names: Names) -> None:
        self._generator = generator
        self._names = names

    def phrase(self, kind: PhraseKind) -> Phrase:
        """Draw a phrase of a kind."""
        makers: dict[PhraseKind, Callable[[], Phrase]] = {
            "date": self._date,
            "duration": self._duration,
            "countries": self._countries,
            "measures": self._measures,
            "languages": self._tongues,
            "calendar": self._calendar,
        }
        return makers[kind]()

    def _date(self) -> Phrase:
        day = _FIRST_DAY + datetime.timedelta(days=int(self._generator.integers(_DAYS)))
        length = ("full", "long")[int(self._generator.integers(2))]
        return lambda writer: writer.date(day, length)

    def _duration(self) -> Phrase:
        span = datetime.timedelta(seconds=int(np.exp(self._generator.uniform(1, np.log(_MOST_SECONDS)))))
        directed, future = (bool(self._generator.integers(2)) for _ in range(2))
        return lambda writer: writer.duration(span if future else -span, directed)

    def _countries(self) -> Phrase:
        codes = self._some(self._names.countries, 2, 5)
        return lambda writer: writer.countries(codes)

    def _tongues(self) -> Phrase:
        codes = self._some(self._names.tongues, 2, 5)
        return lambda writer: writer.tongues(codes)

    def _calendar(self) -> Phrase:
        days, months = self._some(self._names.days, 1, 3), self._some(self._names.months, 1, 3)
        return lambda writer: writer.calendar(days, months)

    def _measures(self) -> Phrase:
        units = self._some(_UNITS, 1, 3)
        numbers = [int(self._generator.integers(2, 100)) for _ in units]
        return lambda writer: writer.measures(numbers, units)

    def _some(self, values: Sequence[Code], least: int, most: int) -> list[Code]:
        number = int(self._generator.integers(least, most))
        return [values[int(place)] for place in self._generator.permutation(len(values))[:number]]


def _samples(locale: Any) -> list[str]:
    """A date and two measures."""
    dates, units = (import_extra(f"babel.{name}", "text", "Phrases") for name in ("dates", "units"))
    measures = [units.format_unit(3, unit, "long", locale=locale) for unit in ("duration-day", "length-kilometer")]
    return [dates.format_date(_FIRST_DAY, "full", locale=locale), *measures]


def _countries(locale: Any) -> dict[str, str]:
    """The names of countries and territories by code, but of continents, whose codes are numbers."""
    return {code: str(name) for code, name in sorted(locale.territories.items()) if code.isalpha()}


def _tongues(locale: Any) -> dict[str, str]:
    """The names of languages by code, but of their variants."""
    return {code: str(name) for code, name in sorted(locale.languages.items()) if "_" not in code}


MADE, KEPT = 96, 60  # phrases that are made for each language, and those at least that no other language has


class Phrases(CachedTexts):
    """Dates, durations, measures, and lists of countries and languages, as more than 100 languages write them.

    The phrases are made from Unicode's Common Locale Data Repository, which the package ``babel`` holds; a class is a
    language, and each belongs to one subset only, by a digest of its code. A phrase that several languages share is
    left out. It needs ``pip install 'lit-metanas[text]'``. The phrases are kept in a cached file.

    Args:
        cache: folder of the cached phrases, as in ``Docstrings``.
        preprocessing: what makes inputs of phrases; None takes ``BytePairs(steps=64)``, since held-out languages have
            words of their own, and some put no spaces between them. One without a vocabulary gets that of the
            meta-train languages.

    Raises:
        ValueError: the package is not installed.

    Example:
        >>> import lit_metanas as lm
        >>> phrases = lm.Phrases()
        >>> episode = lm.draw_episode(phrases, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=3)
        >>> episode.shape.steps, len(phrases.classes("train")) >= 50
        (64, True)
    """

    version = 1

    def __init__(self, cache: str | None = None, preprocessing: TextPreprocessing | None = None) -> None:
        super().__init__(cache, preprocessing or BytePairs(steps=64))
        self._babel = import_extra("babel", "text", "Phrases").__version__

    def made_of(self) -> tuple[Any, ...]:
        """The version of the package, and the numbers of phrases."""
        return self._babel, MADE, KEPT

    def make(self) -> Subsets:
        """The phrases that no other language has, of languages that keep enough of them."""
        made = {language: phrases_of(language, MADE) for language in languages()}
        subsets: Subsets = {"train": {}, "val": {}, "test": {}}
        for language, phrases in without_shared(made, KEPT).items():
            subsets[_subset_of(language)][language] = phrases
        return subsets

    def groups(self, subset: Subset) -> tuple[str, ...]:
        """Return the script of each language, such as ``Latn``."""
        return tuple(script_of(language) for language in self.classes(subset))


def _subset_of(language: str) -> Subset:
    """Of a hundred languages about 64, 16 and 20; what one has does not depend on which others there are."""
    share = int(hashlib.sha256(language.encode()).hexdigest(), 16) % 100
    return SUBSETS[(share >= 64) + (share >= 80)]
