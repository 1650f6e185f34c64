"""Every row of the table of published numbers, to the digits that were printed."""

from __future__ import annotations

import pytest

from tests.parity.published import Published, published


@pytest.mark.parametrize("row", list(published()), ids=lambda row: f"{row.source}: {row.metric[:24]}")
def test_equals_what_was_printed(row: Published, shared_data) -> None:
    ours = row.ours(shared_data)
    print(f"{row.source} | {row.metric} | {row.value} | {ours} | {ours - row.value:.1e}")
    assert ours == pytest.approx(row.value, abs=row.tolerance, rel=0)
