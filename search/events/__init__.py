"""What happened: events, messages between driver and trainers, and the journal."""
