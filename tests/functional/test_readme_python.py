"""The README's Python and YAML about criteria do what stands beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from trialstrat.protocol.language.criterion import CriteriaSet

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_python(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"<!-- python -->\n```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert f"# {first}" in code
    assert '"resourceType": "Group"' in rest


def test_yaml() -> None:
    (text,) = re.findall(r"## Criteria\n.*?```yaml\n(.*?)```", README, flags=re.DOTALL)
    held = CriteriaSet.model_validate({"criteria": YAML(typ="safe", pure=True).load(text)})
    assert [entry.id for entry in held.criteria] == ["I1", "I2", "I3", "E1"]
    assert all(entry.when for entry in held.criteria)
