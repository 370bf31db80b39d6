"""What the program costs, measured: ``python -m benchmarks`` (or ``make bench``) writes ``docs/benchmarks.md``."""
