"""Take a generator away: its folder, card, MLflow model and registered version."""
