"""The parts of `make bench-edge` (bench/bench_edge.py)."""
