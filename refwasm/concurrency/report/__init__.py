"""Explorations as documents and time lines: final states, races and failing schedules with a picture of each."""
