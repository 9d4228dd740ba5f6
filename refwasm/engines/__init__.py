"""Engines: what can be judged, each behind one protocol, through one shim."""
