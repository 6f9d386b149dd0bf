"""Admission webhooks: which requests they are asked about, and what their answers mean."""
