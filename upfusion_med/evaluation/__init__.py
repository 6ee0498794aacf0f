"""Data sets, classical rules, the benchmark harness, statistics, reports, and the yardsticks of speed."""
