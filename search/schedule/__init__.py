"""Decide what to try next, who trains it and who stops; Optuna, no Ray and no tensors."""
