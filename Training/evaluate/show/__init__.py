"""Pictures and volumes for people to look at."""
