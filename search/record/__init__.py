"""Keep a search in MLflow, and read it back."""
