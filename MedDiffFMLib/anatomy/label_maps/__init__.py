"""Label maps and lesion masks that other programs wrote, read as the model's classes."""
