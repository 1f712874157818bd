"""Searches: everything that chooses, runs, records and exports."""
