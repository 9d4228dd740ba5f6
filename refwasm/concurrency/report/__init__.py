"""Explorations as pages: final states, races and failing schedules with a picture of each."""
