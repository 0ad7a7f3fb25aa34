"""Fills an empty database with a newsroom of any size, as years of work would have left it.

Everything is made up from numbers, so that the same plan makes the same newsroom each time.
"""
