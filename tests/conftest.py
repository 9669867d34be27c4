"""Settings of every test."""

from __future__ import annotations

import os

from hypothesis import settings

# Continuous integration draws the same examples every time: a change is judged by what it changed. Everywhere else
# the examples are new on each run, and what fails is kept and tried again.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
