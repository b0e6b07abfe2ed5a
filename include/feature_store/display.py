"""How numbers are shown to people."""


def number(value: float) -> str:
    """Whole from a million on, six figures below."""
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"
