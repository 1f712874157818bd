"""Train and judge many stacked networks in one process; torch, no Ray."""
