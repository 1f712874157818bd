"""Say who is best, and how well that is known."""
