"""One file per command: the order of the stages, the seeds, the findings policy."""
