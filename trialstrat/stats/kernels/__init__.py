"""Compiled inner loops, nothing else."""
