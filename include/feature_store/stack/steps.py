"""Steps that run at once where their order allows, with their progress shown."""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from feature_store.errors import FeatureStoreError, StackError

DEFAULT_ADVICE = "repair the cause and run `make up` again: what is done already is not done twice"


class Note(Protocol):
    """Tells the user how far a step is; `done` and `total` draw its bar."""

    def __call__(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Say it."""


@dataclass(frozen=True)
class Step:
    """One step: its action says in a few words what it did; `needs` are the steps that come before it."""

    name: str
    title: str
    action: Callable[[Note], str]
    needs: tuple[str, ...] = ()
    log: Path | None = None
    advice: str = DEFAULT_ADVICE


class StepError(StackError):
    """A step failed: says which, why, where its log is and what to do."""

    def __init__(self, step: Step, why: str) -> None:
        log = f"\nIts log: {step.log}" if step.log is not None else ""
        super().__init__(f"step '{step.name}' ({step.title}) failed: {why}{log}\nWhat to do: {step.advice}")
        self.step = step


class Screen(Protocol):
    """Where progress is shown."""

    def begin(self, step: Step) -> None:
        """A step starts."""

    def note(self, step: Step, text: str, done: int | None, total: int | None) -> None:
        """A running step has something to say."""

    def end(self, step: Step, text: str, seconds: float) -> None:
        """A step succeeded."""

    def fail(self, step: Step) -> None:
        """A step failed."""

    def __enter__(self) -> Self:
        """Start to show."""

    def __exit__(self, *raised: object) -> None:
        """Stop to show."""


@dataclass
class PlainScreen:
    """One line with its time for every event: for logs and CI."""

    console: Console
    _said: dict[str, str] = field(default_factory=dict)

    def begin(self, step: Step) -> None:
        self._line(step, f"{step.title} ...")

    def note(self, step: Step, text: str, done: int | None, total: int | None) -> None:
        if self._said.get(step.name) != text:
            self._said[step.name] = text
            self._line(step, text)

    def end(self, step: Step, text: str, seconds: float) -> None:
        self._line(step, f"done in {seconds:.1f} s: {text}")

    def fail(self, step: Step) -> None:
        self._line(step, "FAILED")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        return None

    def _line(self, step: Step, text: str) -> None:
        line = f"{datetime.now().astimezone():%H:%M:%S}  {step.name:<14} {text}"
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


class BarScreen:
    """A bar or spinner for every step, redrawn in place: for people."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[said]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def begin(self, step: Step) -> None:
        self._tasks[step.name] = self._progress.add_task(step.title, total=None, said="")

    def note(self, step: Step, text: str, done: int | None, total: int | None) -> None:
        # Completed means finished for rich, so the last bit of the bar belongs to `end`.
        self._progress.update(self._tasks[step.name], said=text, completed=done, total=total and total + 1)

    def end(self, step: Step, text: str, seconds: float) -> None:
        self._progress.update(self._tasks[step.name], total=1, completed=1, said=text)

    def fail(self, step: Step) -> None:
        self._progress.update(self._tasks[step.name], said="[red]failed[/red]")
        self._progress.stop_task(self._tasks[step.name])

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._progress.stop()


def screen_for(console: Console) -> Screen:
    """Bars on a terminal, plain lines elsewhere."""
    return BarScreen(console) if console.is_terminal else PlainScreen(console)


def run_steps(steps: Sequence[Step], screen: Screen, tracebacks: Path | None = None) -> None:
    """Run every step as soon as those it needs are done; the first failure ends it all with StepError.

    An error that nobody raised on purpose leaves its traceback in the file `tracebacks`.
    """
    pending = list(steps)
    done: set[str] = set()
    ended: queue.SimpleQueue[tuple[Step, Exception | None]] = queue.SimpleQueue()
    with screen:
        while len(done) < len(steps):
            for step in [step for step in pending if done.issuperset(step.needs)]:
                pending.remove(step)
                # Daemons: after a failure nobody waits for the others.
                threading.Thread(target=_run, args=(step, screen, ended), daemon=True, name=step.name).start()
            step, error = ended.get()
            if error is not None:
                screen.fail(step)
                raise StepError(step, _why(error, tracebacks)) from error
            done.add(step.name)


def _run(step: Step, screen: Screen, ended: "queue.SimpleQueue[tuple[Step, Exception | None]]") -> None:
    def note(text: str, done: int | None = None, total: int | None = None) -> None:
        screen.note(step, text, done, total)

    began = time.monotonic()
    try:
        screen.begin(step)
        screen.end(step, step.action(note), time.monotonic() - began)
    except Exception as error:  # whatever it is, the user must learn which step it was
        ended.put((step, error))
    else:
        ended.put((step, None))


def _why(error: Exception, tracebacks: Path | None) -> str:
    if isinstance(error, FeatureStoreError):
        return str(error)
    why = f"{type(error).__name__}: {error}"
    if tracebacks is None:
        return why
    tracebacks.parent.mkdir(parents=True, exist_ok=True)
    with tracebacks.open("a") as handle:
        handle.writelines(traceback.format_exception(error))
    return f"{why}\nThe traceback is in {tracebacks}"
