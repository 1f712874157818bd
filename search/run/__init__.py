"""The use cases: plan, search, resume, confirm, refit and publish; the command line and Python call these."""
