"""The commands of genseek, and what they print."""
