"""Dates as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product

ISO = "ISO 8601"
_ISO_BEGINS = re.compile(r"\d{4}-\d\d-\d\d")
_DAYS = ("%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
DATE_FORMS = (ISO, *(day + time for day, time in product(_DAYS, ("", " %H:%M", " %H:%M:%S"))))
"""How dates are written; of one that may be read in two ways the first is taken."""


def read_date(text: str, form: str) -> datetime | None:
    """A date in a form; None of anything else."""
    try:
        if form != ISO:
            return datetime.strptime(text, form)
        if _ISO_BEGINS.match(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    return None


def read_dates(texts: Sequence[str]) -> list[datetime] | None:
    """Texts as dates that can be compared, if all are written in one form; those without a time zone are of UTC.

    Example:
        >>> [date.month for date in read_dates(["31.1.2026", "1.2.2026"])], read_dates(["31.1.2026", "2026-02-01"])
        ([1, 2], None)
    """
    for form in DATE_FORMS:
        found = [read_date(text, form) for text in texts]
        dates = [date if date.tzinfo else date.replace(tzinfo=UTC) for date in found if date is not None]
        if texts and len(dates) == len(texts):
            return dates
    return None
