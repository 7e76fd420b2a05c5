"""Phrases made from Unicode's Common Locale Data Repository, in one language after the other."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.files import cache_folder
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.texts.byte_pairs import BytePairs
from lit_metanas.kinds.texts.text_source import CachedTexts, Subsets, TextSource, without_shared
from lit_metanas.tasks.source import SUBSETS, Subset

_FIRST_DAY, _DAYS = datetime.date(1990, 1, 1), 15_000
_MOST_SECONDS = 300_000_000
_UNITS = (
    "area-square-kilometer", "duration-day", "duration-hour", "duration-minute", "duration-month", "duration-week",
    "duration-year", "length-centimeter", "length-kilometer", "length-meter", "length-millimeter", "mass-gram",
    "mass-kilogram", "temperature-celsius", "volume-liter",
)  # fmt: skip


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
    return str(likely.get(language, "_Zyyy")).split("_")[1]


def phrases_of(language: str, number: int) -> list[str]:
    """Phrases of a language, each once: the same arguments always give the same."""
    seed = int.from_bytes(hashlib.sha256(language.encode()).digest()[:8])
    writer = PhraseWriter(language)
    draw = PhraseDraw(np.random.default_rng(seed), writer.names)
    return list(dict.fromkeys(writer.write(draw.phrase(PHRASE_KINDS[i % len(PHRASE_KINDS)])) for i in range(number)))


class PhraseWriter:
    """Writes phrases in a language."""

    def __init__(self, language: str) -> None:
        self._babel = {name: import_extra(f"babel.{name}", "text", "Phrases") for name in ("dates", "lists", "units")}
        self._locale = locale = import_extra("babel", "text", "Phrases").Locale.parse(language)
        calendar = {"days": locale.days, "months": locale.months}
        self.names: dict[str, dict[Any, str]] = {
            "countries": _countries(locale),
            "languages": _tongues(locale),
            **{
                kind: {code: str(n) for code, n in own["stand-alone"]["wide"].items()} for kind, own in calendar.items()
            },
        }  # by kind and code

    def shared_codes(self, other: PhraseWriter) -> dict[str, list[Any]]:
        """The codes of names that another language has, too, by kind, in this one's order."""
        return {kind: [code for code in own if code in other.names[kind]] for kind, own in self.names.items()}

    def write(self, phrase: Phrase) -> str:
        """A phrase in this language, in one line."""
        return " ".join(phrase(self).split())

    def letters(self) -> str:
        """All that names and measures are written with, each once, with spaces between."""
        measures = self.measures([number for number in (1, 2, 5) for _ in _UNITS], 3 * _UNITS)
        texts = [measures, *(name for named in self.names.values() for name in named.values())]
        texts += [self.date(_FIRST_DAY.replace(month=month), "full") for month in range(1, 13)]
        return " ".join(sorted(set("".join(texts)) - {" "}))

    def date(self, day: datetime.date, length: str) -> str:
        """A date, ``full`` or ``long``."""
        return str(self._babel["dates"].format_date(day, length, locale=self._locale))

    def duration(self, span: datetime.timedelta, directed: bool) -> str:
        """A time span, rounded to one unit; ``directed`` says that it has passed or is to come."""
        way = {"threshold": 1.5, "add_direction": directed, "locale": self._locale}
        return str(self._babel["dates"].format_timedelta(span, **way))

    def measures(self, numbers: Sequence[int], units: Sequence[str]) -> str:
        """A list of measures."""
        write = self._babel["units"].format_unit
        pairs = zip(numbers, units, strict=True)
        return self._list([write(number, unit, "long", locale=self._locale) for number, unit in pairs])

    def named(self, codes: Mapping[str, Sequence[Any]]) -> str:
        """A list of names, of some codes of each kind."""
        return self._list([self.names[kind][code] for kind, own in codes.items() for code in own])

    def _list(self, parts: list[str]) -> str:
        return str(self._babel["lists"].format_list(parts, locale=self._locale))


Phrase = Callable[[PhraseWriter], str]  # what is said, in whatever language
PhraseKind = Literal["date", "duration", "countries", "measures", "languages", "calendar"]
PHRASE_KINDS: tuple[PhraseKind, ...] = get_args(PhraseKind)


class PhraseDraw:
    """Draws what phrases say, of some codes of names by kind."""

    def __init__(self, generator: np.random.Generator, codes: Mapping[str, Iterable[Any]]) -> None:
        self._draw = generator
        self._codes = {kind: list(own) for kind, own in codes.items()}

    def phrase(self, kind: PhraseKind) -> Phrase:
        """Draw a phrase of a kind."""
        match kind:
            case "date":
                day = _FIRST_DAY + datetime.timedelta(days=int(self._draw.integers(_DAYS)))
                length = ("full", "long")[int(self._draw.integers(2))]
                return lambda writer: writer.date(day, length)
            case "duration":
                span = datetime.timedelta(seconds=int(np.exp(self._draw.uniform(1, np.log(_MOST_SECONDS)))))
                directed, future = (bool(self._draw.integers(2)) for _ in range(2))
                return lambda writer: writer.duration(span if future else -span, directed)
            case "measures":
                units = self._some(_UNITS, 1, 3)
                numbers = [int(self._draw.integers(2, 100)) for _ in units]
                return lambda writer: writer.measures(numbers, units)
            case "calendar":
                codes = {each: self._some(self._codes[each], 1, 3) for each in ("days", "months")}
            case _:
                codes = {kind: self._some(self._codes[kind], 2, 5)}
        return lambda writer: writer.named(codes)

    def _some(self, values: Sequence[Any], least: int, most: int) -> list[Any]:
        number = int(self._draw.integers(least, most))
        return [values[int(place)] for place in self._draw.permutation(len(values))[:number]]


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


class Phrases(CachedTexts, TextSource):
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
        >>> phrases = lm.kinds.Phrases()
        >>> episode = lm.tasks.draw_episode(phrases, "test", seed=0, epoch=0, index=0, way=5, shot=1, query=3)
        >>> episode.shape.steps, len(phrases.classes("train")) >= 50
        (64, True)
    """

    version = 1

    def __init__(self, cache: str | None = None, preprocessing: TextPreprocessing | None = None) -> None:
        super().__init__(preprocessing or BytePairs(steps=64))
        self.cache = Path(cache) if cache else cache_folder()
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
