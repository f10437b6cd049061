"""What callers send, checked: every fault is named, unknown fields are refused, nothing is guessed."""
