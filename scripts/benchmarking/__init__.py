"""The subcommands of scripts/benchmark.py, and what they share to measure and report."""
