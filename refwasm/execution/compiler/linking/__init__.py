"""Compiled code at run time: what it calls, how its names are bound, how it is entered and left, and the cache."""
