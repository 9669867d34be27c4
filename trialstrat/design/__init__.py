"""The next trial: events, sample size, power, group-sequential designs."""
