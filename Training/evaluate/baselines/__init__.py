"""Classical denoising to compare with, and its tuning."""
