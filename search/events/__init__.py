"""What happened: events, what driver and trainers tell each other, and the journal."""
