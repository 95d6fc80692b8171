"""What recall promises."""
