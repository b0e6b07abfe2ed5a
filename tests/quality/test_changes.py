"""How candidates compare with the points before them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.catalog import Catalog, FeatureSpec
from feature_store.catalog.contracts import Jump
from feature_store.quality.changes import ENOUGH_TO_BLOCK, compare, step_of
from tests.quality.points import compared, points

QUIET = [100 * 1.01 ** (n % 7 - 3) for n in range(200)]
"""A walk that moves by a few per cent."""


@pytest.fixture
def spx(catalog: Catalog) -> FeatureSpec:
    """Judged in logarithms; a jump is a factor of 1.7."""
    return catalog.feature("macro/us/spx_index")


@pytest.fixture
def flows(catalog: Catalog) -> FeatureSpec:
    """Judged by differences."""
    return catalog.feature("crypto/etf/btc_net_flow_usd")


def test_what_is_usual_is_neither_outlier_nor_jump(spx: FeatureSpec) -> None:
    found = compared(spx, QUIET)
    assert found["score"].max() < 1
    assert found["distance"].max() < 1.1
    assert found["unit_power"].isna().all()


def test_a_spike_is_told_of_once_and_not_where_it_comes_back(spx: FeatureSpec) -> None:
    found = compared(spx, [*QUIET, 1000.0, *QUIET[4:10]])
    assert found.index[found["score"] > 1].tolist() == [200]
    assert found.index[found["distance"] > 1.7].tolist() == [200]
    spike = found.loc[200]
    assert spike["distance"] == pytest.approx(10, rel=0.1)
    assert spike["value_before"] == pytest.approx(QUIET[-1])
    assert spike["low"] < QUIET[-1] < spike["high"] < 1000


def test_a_new_level_stays_out_while_nobody_says_otherwise(spx: FeatureSpec) -> None:
    found = compared(spx, [*QUIET, *[1000.0 + n for n in range(8)]])
    assert found.index[found["distance"] > 1.7].tolist() == list(range(200, 208))


def test_after_ten_steps_of_silence_the_next_value_is_believed(spx: FeatureSpec) -> None:
    found = compared(spx, [*QUIET, *[1000.0 + n for n in range(14)]])
    assert found.index[found["distance"] > 1.7].tolist() == list(range(200, 210))


def test_what_is_held_is_believed_and_what_is_new_is_measured_by_it(spx: FeatureSpec) -> None:
    found = compared(spx, [*QUIET[:-1], 1000.0, 1001.0], new=1)
    assert len(found) == 1
    assert found["distance"].tolist() == pytest.approx([1.001])


@pytest.mark.parametrize(("factor", "power"), [(1e3, 3), (1e-3, -3), (1e6, 6), (100, 2), (1e-9, -9)])
def test_a_value_in_another_unit_is_known_by_its_power_of_ten(spx: FeatureSpec, factor: float, power: int) -> None:
    found = compared(spx, [*QUIET, QUIET[5] * factor])
    assert found["unit_power"].iloc[-1] == power


@pytest.mark.parametrize("factor", [10, 5, 30, 400])
def test_another_power_of_ten_is_a_jump_and_no_unit(spx: FeatureSpec, factor: float) -> None:
    found = compared(spx, [*QUIET, QUIET[5] * factor])
    assert found["distance"].iloc[-1] > 1.7
    assert np.isnan(found["unit_power"].iloc[-1])


def test_nothing_is_kept_out_before_enough_is_known(spx: FeatureSpec) -> None:
    found = compared(spx, [*QUIET[: ENOUGH_TO_BLOCK - 1], 1000.0])
    assert np.isnan(found["distance"].iloc[-1])
    assert found["score"].iloc[-1] > 1


def test_amounts_are_measured_in_the_features_unit(flows: FeatureSpec) -> None:
    found = compared(flows, [*[1e8 * (n % 5 - 2) for n in range(100)], 4.5e9])
    assert found["distance"].iloc[-1] == pytest.approx(4.5e9 - 2e8)
    assert found["score"].iloc[-1] > 1


def test_the_season_of_a_cycle_before_is_taken_out(catalog: Catalog) -> None:
    volume = catalog.feature("cex/binance/btcusdt_volume_usd")
    night_and_day = [1.0 if n % 24 < 12 else 50.0 for n in range(24 * 12)]
    wobble = [1 + 0.01 * (n % 5) for n in range(24 * 12)]
    values = [1e8 * season * w for season, w in zip(night_and_day, wobble, strict=True)]
    seen = points(values, step_of(volume), factors=night_and_day)
    assert compare(seen, volume)["score"].max() < 1
    assert compare(seen.assign(factor=1.0), volume)["low"].min() < 1e6, "without it the band is wide"


def test_equal_values_in_a_row_are_counted(spx: FeatureSpec) -> None:
    found = compared(spx, [1.0, 2.0, 2.0, 2.0, 3.0, 3.0])
    assert found["repeats"].tolist() == [1, 1, 2, 3, 1, 2]


def test_a_feature_without_a_jump_has_outliers_all_the_same(spx: FeatureSpec) -> None:
    plain = spx.model_copy(update={"quality": spx.quality.model_copy(update={"jump": None})})
    assert compared(plain, [*QUIET, 1000.0])["score"].iloc[-1] > 1


@given(st.lists(st.floats(min_value=50, max_value=200), min_size=1, max_size=120), st.integers(1, 120))
def test_what_comes_later_changes_nothing_about_what_came_before(values: list[float], cut: int) -> None:
    feature = _SPX
    whole, part = compared(feature, values), compared(feature, values[:cut])
    for column in ("distance", "score", "low", "high", "repeats"):
        np.testing.assert_array_equal(part[column].to_numpy(float), whole[column].to_numpy(float)[: len(part)])


def _spx() -> FeatureSpec:
    from feature_store.catalog import load_catalog

    return load_catalog().feature("macro/us/spx_index")


_SPX = _spx()


def test_a_jump_is_a_factor_or_an_amount() -> None:
    with pytest.raises(ValueError, match="exactly one of factor"):
        Jump(factor=2, amount=3)
    with pytest.raises(ValueError, match="exactly one of factor"):
        Jump()
