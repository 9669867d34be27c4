"""What an effect is called by the kind of the endpoint: in sentences, and in the names of estimates."""

from __future__ import annotations

from trialstrat.report.context import Context
from trialstrat.results import Estimate

#: The effect that leads, by kind: the last part of the ids of the impact stage, and its name.
EFFECTS = {
    "time_to_event": ("hazard_ratio", "hazard ratio"),
    "competing": ("hazard_ratio", "cause-specific hazard ratio"),
    "binary": ("odds_ratio", "odds ratio"),
    "continuous": ("mean_difference", "mean difference"),
}
#: The effect as a difference, by kind.
ABSOLUTE = {
    "time_to_event": "difference of restricted mean time",
    "competing": "difference of cumulative incidence",
    "binary": "risk difference",
    "continuous": "mean difference",
}


def _of(context: Context) -> tuple[str, str]:
    return EFFECTS.get(str(context.endpoint.get("kind")), EFFECTS["time_to_event"])


def effect_name(context: Context) -> str:
    """``hazard ratio``, ``odds ratio``..."""
    return _of(context)[1]


def absolute_name(context: Context) -> str:
    """``risk difference``, ``mean difference``..."""
    return ABSOLUTE.get(str(context.endpoint.get("kind")), ABSOLUTE["time_to_event"])


def cross_fitted(context: Context, pair: str) -> Estimate | None:
    """The held-out effect under criteria kept by sign, where there is one."""
    return context.ok(f"impact.cross_fitted.{_of(context)[0]}.{pair}")


def held_out_pick(context: Context, pair: str) -> Estimate | None:
    """The held-out effect of the rule set that the search picked, where there is one."""
    return context.ok(f"search.pick.held_out.{effect_name(context).replace(' ', '_')}.{pair}")
