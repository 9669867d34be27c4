"""The language of eligibility criteria applied to patients: evaluation in three values, and checks before it."""
