"""Reference cases: numbers made with R, and the harness that holds our public functions against them.

A folder of cases holds topic files ``*.json`` and CSV tables in ``data/``. :func:`run_folder` answers every case with
the public function registered for its method and compares every expected value with the case's own tolerances.

How a topic is added: write a module of the topic's name beside this file (its name must stand in ``run.TOPIC_MODULES``)
with one function per method, registered by :func:`~trialstrat.pipeline.reference.registry.reference_method`, as
``survival.py`` does::

    @reference_method("rmst", required="time event tau", optional="group level")
    def _rmst(columns: Columns, args: Mapping[str, Any]) -> Answer:
        result = rmst(columns.numbers(args["time"]), columns.numbers(args["event"]), args["tau"])
        return status_of(result) or {"all": {"rmst": result.rmst, "std_error": result.std_error}}

* ``columns.numbers(name)`` is a float vector (missing: nan), ``columns.labels(name)`` a label vector for groups,
  ``columns.matrix(names)`` covariates, ``columns.strata(names)`` and ``columns.optional(name)`` accept None.
* Arguments not named in ``required`` or ``optional`` fail the case: name those you pass on, and no others.
* The answer is a plain dictionary in the shape of ``expect``: floats, lists or arrays, text; nan or None where a value
  is missing; group keys through ``label_text``. Keys that are not expected are not looked at.
* What must be refused raises ``InvalidInputError``; what cannot be estimated answers ``{"status": "not_estimable"}``
  (``status_of(result)`` makes it from any result with ``status``, and is empty when the status is ok).
* No statistics here: a function in a topic module maps names and shapes, and calls the public function.
"""

from trialstrat.pipeline.reference.run import (
    CaseResult,
    TopicFile,
    TopicSummary,
    read_topics,
    run_case,
    run_folder,
    shipped_folder,
    summarise,
)

__all__ = [
    "CaseResult",
    "TopicFile",
    "TopicSummary",
    "read_topics",
    "run_case",
    "run_folder",
    "shipped_folder",
    "summarise",
]
