"""Answers to "why is this pod as it is?", from what was decided and what was seen."""
