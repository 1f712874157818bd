"""Run a search on Ray: trainers as Tune trials, clusters and jobs."""
