"""Litmus tests: small parallel programs, with the final states that the memory model allows."""
