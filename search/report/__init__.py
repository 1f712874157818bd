"""Reports: one self-contained HTML page on a search, or on several."""
