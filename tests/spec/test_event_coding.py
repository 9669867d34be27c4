"""What each event coding makes of each cell. 1 is the event, 0 censored, 2 another cause; ``?`` is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.spec.ascii import frame, rows
from trialstrat.cohort.columns import MISSING, UNMATCHED
from trialstrat.cohort.outcomes import event_codes
from trialstrat.protocol.model import EventCoding

CODINGS: dict[str, dict[str, Any]] = {
    "1 / 0": {"events": [1], "censored": [0]},
    "2 / 1": {"events": [2], "censored": [1]},
    "true / false": {"events": [True], "censored": [False]},
    "Yes / No": {"events": ["Yes"], "censored": ["No"]},
    "1,2 / 0": {"causes": {"relapse": 1, "death": 2}, "censored": [0]},
    "cnsr": {"style": "cnsr"},
    "cbioportal": {"style": "cbioportal"},
}

SPEC = """
| cell        | 1 / 0 | 2 / 1 | true / false | Yes / No | 1,2 / 0 | cnsr | cbioportal |
|-------------|-------|-------|--------------|----------|---------|------|------------|
| 0           | 0     | ?     | ?            | ?        | 0       | 1    | ?          |
| 1           | 1     | 0     | ?            | ?        | 1       | 0    | ?          |
| 2           | ?     | 1     | ?            | ?        | 2       | 0    | ?          |
| 0.0         | 0     | ?     | ?            | ?        | 0       | 1    | ?          |
| 1.0         | 1     | 0     | ?            | ?        | 1       | 0    | ?          |
| 1.5         | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| -1          | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| True        | ?     | ?     | 1            | ?        | ?       | ?    | ?          |
| FALSE       | ?     | ?     | 0            | ?        | ?       | ?    | ?          |
| Yes         | ?     | ?     | ?            | 1        | ?       | ?    | ?          |
| YES         | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| No          | ?     | ?     | ?            | 0        | ?       | ?    | ?          |
| U           | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| 1:DECEASED  | ?     | ?     | ?            | ?        | ?       | ?    | 1          |
| 0:LIVING    | ?     | ?     | ?            | ?        | ?       | ?    | 0          |
| 1:Progressed| ?     | ?     | ?            | ?        | ?       | ?    | 1          |
| DECEASED    | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| 2:OTHER     | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| inf         | ?     | ?     | ?            | ?        | ?       | ?    | ?          |
| .           | -     | -     | -            | -        | -       | -    | -          |
"""


@pytest.mark.parametrize("coding", CODINGS)
def test_codings(coding):
    cells = frame(SPEC)["cell"]
    expected = [{"?": UNMATCHED, "-": MISSING}.get(row[coding], row[coding]) for row in rows(SPEC)]
    codes = event_codes(EventCoding.model_validate({"column": "E", **CODINGS[coding]}), cells)
    assert dict(zip(cells, codes.tolist(), strict=True)) == dict(zip(cells, map(int, expected), strict=True))
