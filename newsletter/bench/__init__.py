"""Measures what sending costs, on a whole system started for it, against others in the same run."""
