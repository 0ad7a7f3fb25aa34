"""A whole system on one machine, started for one purpose and ended with it."""
