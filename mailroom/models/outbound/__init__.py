"""Messages on their way out: the queue's item of seed 004, and the rules of its life."""
