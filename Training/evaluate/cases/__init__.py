"""The real and simulated cases that evaluations measure on."""
