"""The real and made cases that evaluations measure on."""
