"""Executable trial stratification: from a cohort to criteria and a report."""
