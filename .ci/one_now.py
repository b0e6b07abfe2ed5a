"""Refuse SQL that asks for now anywhere but at ops.now(): `python .ci/one_now.py [ROOT]`.

It reads SQL and dbt's YAML, and the strings of Python files, in which SQL stands too. For Python's own code ruff does
the same: TID251 in pyproject.toml.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("include/feature_store", "dbt_project", "dags", "plugins")

# Where real time is right.
REAL_TIME = {
    "include/feature_store/warehouse/migrations/0001_foundation.sql": "makes ops.now()",
    "include/feature_store/clock.py": "sets what ops.now() gives",
    "include/feature_store/sources/budget.py": "counts requests in the source's own minutes",
    "include/feature_store/sources/circuit.py": "says when a source may be asked again",
    "include/feature_store/warehouse/migrations/0026_metrics.sql": "makes ops.real_now()",
    "include/feature_store/warehouse/migrations/0019_api.sql": "notes when keys of the API were made",
    "include/feature_store/serving/keys.py": "keys begin and end in real time",
    "include/feature_store/serving/api/keyring.py": "asks whether keys have ended",
    "include/feature_store/serving/api/leases.py": "counts requests in real minutes",
    "include/feature_store/warehouse/migrate.py": "notes when a migration was applied",
}

_NOW = re.compile(
    r"(?<!\bops\.)\bnow\s*\(\s*\)"
    r"|\b(clock|statement|transaction)_timestamp\b|\bcurrent_(timestamp|date|time)\b|\blocaltime(stamp)?\b|\btimeofday\b"
    r"|'(now|today|tomorrow|yesterday)'"
    r"|\brun_started_at\b|\bdatetime\.(now|utcnow|today)\b|\bdate\.today\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)


def main(root: Path) -> int:
    """Print every place that asks for now in its own way; 1 when there is one."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    found = [place for path in paths for place in _places(root, path)]
    for place in found:
        sys.stdout.write(f"{place}: take now from ops.now(), or say in .ci/one_now.py why real time is right\n")
    return int(bool(found))


def _places(root: Path, path: Path) -> Iterator[str]:
    name = path.relative_to(root).as_posix()
    if name in REAL_TIME:
        return
    if path.suffix == ".py":
        parts = _strings(path.read_text())
    elif path.suffix == ".sql":
        parts = iter([(1, _COMMENT.sub(_blank, path.read_text()))])
    elif path.suffix in (".yml", ".yaml"):
        parts = iter([(1, re.sub(r"(?<!\S)#.*", "", path.read_text()))])
    else:
        return
    for line, text in parts:
        for match in _NOW.finditer(text):
            above = text.count("\n", 0, match.start())
            yield f"{name}:{line + above}: {match.group()}"


def _strings(source: str) -> Iterator[tuple[int, str]]:
    """The strings of a Python file with their lines, without those that only explain."""
    tree = ast.parse(source)
    explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explained:
            yield node.lineno, _COMMENT.sub(_blank, node.value)


def _blank(comment: re.Match[str]) -> str:
    return "\n" * comment.group().count("\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]))
