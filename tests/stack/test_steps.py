import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from feature_store.errors import StackError
from feature_store.stack.steps import BarScreen, Note, PlainScreen, Step, StepError, run_steps, screen_for


def plain() -> tuple[PlainScreen, io.StringIO]:
    said = io.StringIO()
    return PlainScreen(Console(file=said, width=200)), said


def test_a_step_waits_for_those_it_needs() -> None:
    order: list[str] = []

    def does(name: str) -> Step:
        return Step(name, name, lambda note: order.append(name) or "ok", {"b": ("a",), "c": ("b",)}.get(name, ()))

    run_steps([does("c"), does("b"), does("a")], plain()[0])
    assert order == ["a", "b", "c"]


def test_steps_that_need_nothing_of_each_other_run_at_once() -> None:
    meet = threading.Barrier(2, timeout=5)

    def action(note: Note) -> str:
        meet.wait()
        return "met"

    run_steps([Step("a", "a", action), Step("b", "b", action)], plain()[0])


def test_a_failing_step_says_which_why_where_its_log_is_and_what_to_do() -> None:
    def action(note: Note) -> str:
        raise StackError("the disk is full")

    step = Step("postgres", "Start PostgreSQL", action, log=Path("/logs/postgres.log"), advice="make room")
    screen, said = plain()
    with pytest.raises(StepError) as failure:
        run_steps([step], screen)
    message = str(failure.value)
    for part in (
        "step 'postgres'",
        "Start PostgreSQL",
        "the disk is full",
        "/logs/postgres.log",
        "make room",
    ):
        assert part in message
    assert "FAILED" in said.getvalue()


def test_nothing_starts_after_a_failure() -> None:
    def fails(note: Note) -> str:
        raise StackError("no")

    later = Step("b", "b", lambda note: pytest.fail("must not run"), ("a",))
    with pytest.raises(StepError):
        run_steps([Step("a", "a", fails), later], plain()[0])


def test_an_unforeseen_error_leaves_its_traceback_in_a_file(tmp_path: Path) -> None:
    def action(note: Note) -> str:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(StepError, match="ZeroDivisionError"):
        run_steps([Step("a", "a", action)], plain()[0], tmp_path / "logs" / "tracebacks.log")
    assert "Traceback" in (tmp_path / "logs" / "tracebacks.log").read_text()


def test_a_note_is_said_once_while_it_stays_the_same() -> None:
    def action(note: Note) -> str:
        for done in range(3):
            note("copying", done, 3)
        return "copied"

    screen, said = plain()
    run_steps([Step("copy", "Copy", action)], screen)
    assert said.getvalue().count("copying") == 1
    assert "copied" in said.getvalue()


def test_a_terminal_gets_bars_and_a_pipe_gets_lines() -> None:
    def action(note: Note) -> str:
        note("half", 1, 2)
        return "finished"

    terminal = Console(file=io.StringIO(), force_terminal=True, width=160)
    screen = screen_for(terminal)
    assert isinstance(screen, BarScreen)
    run_steps([Step("a", "Half a job", action)], screen)
    assert "finished" in terminal.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(screen_for(Console(file=io.StringIO())), PlainScreen)
