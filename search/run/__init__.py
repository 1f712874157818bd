"""The use cases: plan, search, resume, confirm and publish; the command line and Python call these."""
