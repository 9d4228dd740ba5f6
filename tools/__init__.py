"""Tools for work on refwasm: long searches, deliberate faults, and what tests and benchmarks share."""
