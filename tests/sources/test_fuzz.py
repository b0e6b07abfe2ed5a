"""Answers of every stream, spoilt in ways that have a name. Whatever comes: no crash, no zero for "not known".

Each way has an oracle: what may be read in the spoilt answer, given what is read in the whole one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.recordings import needs_recordings

from .shapes import Cells, Folded, Shape, dump, load, pick, places

HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"

SUMS = {
    ("defillama", "stablecoincharts"),
    ("defillama", "protocols"),
    ("binance", "depth"),
    ("cex", "books"),
    ("cex", "open_interest"),
}
"""Streams whose numbers are sums over parts that may rightly be absent: a part less is another number."""


def drop(random: Random, tree: Any) -> Any:
    """A field, or an entry of a list, is gone."""
    if found := pick(random, tree, lambda _: True):
        del found[0][found[1]]
    return tree


def rename(random: Random, tree: Any) -> Any:
    """A field has another name, in its old place."""
    objects = [at for at, key in places(tree) if isinstance(at, dict)]
    if objects:
        chosen = random.choice(objects)
        old = random.choice(list(chosen))
        renamed = {f"{name}_x" if name == old else name: value for name, value in chosen.items()}
        chosen.clear()
        chosen.update(renamed)
    return tree


def retype(random: Random, tree: Any) -> Any:
    """A number becomes a text, a text a number, an object or a list."""
    found = pick(random, tree, lambda value: not isinstance(value, dict | list | Folded))
    if found:
        at, key = found
        value = at[key]
        others: list[Any] = [[value], {"value": value}, True]
        if isinstance(value, str):
            try:
                others.append(Decimal(value) if Decimal(value).is_finite() else [])
            except ArithmeticError:
                others.append(7)
        elif value is not None:
            others.append(str(value))
        at[key] = random.choice(others)
    return tree


def garble(random: Random, tree: Any) -> Any:
    """A number that is written as text is another text."""

    def is_number(value: Any) -> bool:
        try:
            return isinstance(value, str) and Decimal(value).is_finite()
        except ArithmeticError:
            return False

    if found := pick(random, tree, is_number):
        found[0][found[1]] = random.choice(["", "abc", "NaN", "-", "Infinity", "1_0", " 7", "1e", "0x7", "\u0667"])
    return tree


def null(random: Random, tree: Any) -> Any:
    """A value is null."""
    if found := pick(random, tree, lambda value: value is not None):
        found[0][found[1]] = None
    return tree


def reorder(random: Random, tree: Any) -> Any:
    """Fields come in another order."""
    for at in {id(at): at for at, _ in places(tree) if isinstance(at, dict)}.values():
        entries = list(at.items())
        random.shuffle(entries)
        at.clear()
        at.update(entries)
    return tree


def swap_unit(random: Random, tree: Any) -> Any:
    """A number is a thousand times as large."""

    def is_number(value: Any) -> bool:
        return isinstance(value, int | Decimal) and not isinstance(value, bool)

    if found := pick(random, tree, is_number):
        found[0][found[1]] *= 1000
    return tree


@dataclass(frozen=True)
class Mutation:
    """What happens to the tree, and what may be read afterwards."""

    spoil: Callable[[Random, Any], Any]
    allows: Callable[[Cells, Cells], bool]


def the_same_or_less(before: Cells, after: Cells) -> bool:
    """No number is another one; some may be missing, or not known."""
    return all(value is None or (key in before and value == before[key]) for key, value in after.items())


def the_same(before: Cells, after: Cells) -> bool:
    return before == after


def anything(before: Cells, after: Cells) -> bool:
    """Plausibility is the judges' business, not the parser's."""
    return True


MUTATIONS: Mapping[str, Mutation] = {
    "drop": Mutation(drop, the_same_or_less),
    "rename": Mutation(rename, the_same_or_less),
    "retype": Mutation(retype, the_same_or_less),
    "garble": Mutation(garble, the_same_or_less),
    "null": Mutation(null, the_same_or_less),
    "reorder": Mutation(reorder, the_same),
    "swap_unit": Mutation(swap_unit, anything),
}


def check(shape: Shape, name: str, random: Random) -> bool:
    """Spoil an answer once and hold what is read against the oracle; whether it could be read."""
    content = shape.payload.content
    if name == "html":
        assert shape.cells(HTML) is None, f"{shape}: a page that is no answer was read"
        return False
    if name == "truncate":
        cut = random.randrange(1, len(content.rstrip()))
        after = shape.cells(content[:cut])
        allowed = the_same_or_less if not shape.is_json else lambda *_: False
        assert after is None or allowed(shape.read, after), f"{shape}: cut after {cut} bytes, and read"
        return after is not None
    spoilt = dump(MUTATIONS[name].spoil(random, load(content)))
    after = shape.cells(spoilt)
    if after is None:
        return False
    zeros = [key for key, value in after.items() if value == 0 and value is not False and shape.read.get(key) != 0]
    assert not zeros, f"{shape}: {name} made a zero of {zeros[:3]}: {spoilt[:500]!r}"
    if (shape.slug, shape.stream) not in SUMS:
        assert MUTATIONS[name].allows(shape.read, after), f"{shape}: {name} made other numbers: {spoilt[:500]!r}"
    return True


def fuzz(shapes: list[Shape], cases: int) -> Mapping[str, tuple[int, int]]:
    """How many spoilt answers of each kind could and could not be read."""
    seen = dict.fromkeys([*MUTATIONS, "truncate", "html"], (0, 0))
    for number in range(cases):
        random = Random(number)
        name = list(seen)[number % len(seen)]
        shape = random.choice([shape for shape in shapes if shape.is_json or name in ("truncate", "html")])
        was_read = check(shape, name, random)
        seen[name] = (seen[name][0] + was_read, seen[name][1] + (not was_read))
    return seen


def test_every_connected_stream_has_a_shape_that_is_read(shapes: list[Shape]) -> None:
    assert all(shape.read is not None for shape in shapes)
    with_rows = {(shape.slug, shape.stream) for shape in shapes if shape.read}
    assert with_rows == {(shape.slug, shape.stream) for shape in shapes}


def test_spoilt_answers_crash_nothing_and_make_no_zeros(shapes: list[Shape]) -> None:
    seen = fuzz(shapes, 2_000)
    assert seen["reorder"][1] == 0, "the order of fields means nothing"
    assert seen["drop"][1] > 0
    assert seen["rename"][1] > 0


@pytest.mark.slow
def test_a_hundred_thousand_spoilt_answers_crash_nothing_and_make_no_zeros(shapes: list[Shape]) -> None:
    fuzz(shapes, 100_000)


@needs_recordings
def test_spoilt_recordings_crash_nothing_and_make_no_zeros(recorded_shapes: list[Shape]) -> None:
    fuzz(recorded_shapes, 2_000)


@needs_recordings
@pytest.mark.slow
def test_a_hundred_thousand_spoilt_recordings_crash_nothing_and_make_no_zeros(recorded_shapes: list[Shape]) -> None:
    fuzz(recorded_shapes, 100_000)
