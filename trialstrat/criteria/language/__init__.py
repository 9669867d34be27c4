"""The language of eligibility criteria: model, text, evaluation, units and checks."""
