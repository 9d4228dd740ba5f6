"""``pytest --hypothesis-profile short``: ten examples for each property."""

from hypothesis import settings

settings.register_profile("short", max_examples=10)
