"""From a validated function to Python: statements, the passes over them, and text."""
