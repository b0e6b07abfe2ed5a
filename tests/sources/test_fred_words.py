"""FRED's values are texts; whatever else comes is no number."""

from decimal import Decimal

import pytest

from feature_store.errors import Malformed
from feature_store.sources.fred_words import number


def test_a_number_is_what_the_text_says_and_a_point_is_not_known() -> None:
    assert (number("4052403.50"), number(".")) == (Decimal("4052403.50"), None)


@pytest.mark.parametrize(
    "value", [True, 7, Decimal("7.7"), ["7"], {"value": "7"}, None, "NaN", "", "7,000", " 7", "1_0", "\u0667"]
)
def test_another_type_or_word_is_malformed_and_never_a_number(value: object) -> None:
    with pytest.raises(Malformed, match="is no number"):
        number(value)
