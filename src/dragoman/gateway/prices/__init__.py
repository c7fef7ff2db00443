"""What requests cost: lists, rules beside them, exact arithmetic."""
