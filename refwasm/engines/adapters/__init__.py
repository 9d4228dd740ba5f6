"""Engines in processes of their own: one small file for each, in the language that its binding is for. The Python ones
run on old Pythons too, without refwasm."""
