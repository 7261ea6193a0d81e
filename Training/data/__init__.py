"""Training data: CT volumes, the store made of them, and the random crops drawn from it."""
