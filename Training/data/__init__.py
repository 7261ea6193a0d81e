"""What is learned from: CT volumes, the store made of them, and the random crops drawn of it."""
