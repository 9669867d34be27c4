"""Prognostic models: one adapter per engine, tuning in nested cross-validation, held-out evaluation."""
