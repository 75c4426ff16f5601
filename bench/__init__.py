"""Benchmarks: programs that print ratios within one run. `make bench`."""
