"""Pictures and volumes for visual inspection."""
