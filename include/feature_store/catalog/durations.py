"""ISO 8601 durations, with months and years, which a timedelta cannot hold."""

import calendar
import re
from datetime import datetime, timedelta

DURATION = (
    r"^P(?=.)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?$"
)
# The same without named groups, which JSON Schema's regular expressions spell differently.
DURATION_SCHEMA = re.sub(r"\?P<\w+>", "", DURATION)


def parts(text: str) -> tuple[int, timedelta]:
    """Split a duration into whole months and the fixed rest; ValueError when it is not a duration."""
    match = re.match(DURATION, text)
    if match is None:
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as P1D, P7D, P3M, PT1H or PT2S")
    n = {name: int(value or 0) for name, value in match.groupdict().items()}
    fixed = timedelta(weeks=n["weeks"], days=n["days"], hours=n["hours"], minutes=n["minutes"], seconds=n["seconds"])
    return 12 * n["years"] + n["months"], fixed


def shift(instant: datetime, duration: str) -> datetime:
    """The instant one duration later; months end at the last day where the day does not exist."""
    months, fixed = parts(duration)
    if months:
        years, month0 = divmod(instant.month - 1 + months, 12)
        year, month = instant.year + years, month0 + 1
        day = min(instant.day, calendar.monthrange(year, month)[1])
        instant = instant.replace(year=year, month=month, day=day)
    return instant + fixed
