"""Who benefits: risk groups today; predictive markers and rules."""
