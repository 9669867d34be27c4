"""One file per format; the only place that opens data files."""
