"""How far a long read has come: told to a function, or shown as a bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from feature_store_client.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a read has come."""

    rows: int
    """Points or rows of a spine that have come so far."""
    share: float | None
    """About what share of the whole that is, 0 to 1; None while that cannot be known."""


Report: TypeAlias = Callable[[Progress], object]


@contextmanager
def reported(progress: Report | bool | None) -> Iterator[Report]:
    """Whom to tell: the function given, a bar for True, else nobody."""
    if callable(progress):
        yield progress
    elif progress:
        with _bar() as tell:
            yield tell
    else:
        yield lambda _: None


@contextmanager
def _bar() -> Iterator[Report]:
    try:
        from rich import progress as bars
    except ImportError:
        raise ConfigurationError("progress=True needs rich: pip install 'feature-store-client[progress]'") from None
    columns = (bars.TextColumn("{task.completed:>9,} rows"), bars.BarColumn(), bars.TimeElapsedColumn())
    with bars.Progress(*columns) as bar:
        task = bar.add_task("", total=None)

        def tell(progress: Progress) -> None:
            total = progress.rows / progress.share if progress.share else None
            bar.update(task, completed=progress.rows, total=total)

        yield tell
