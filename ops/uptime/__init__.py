"""Probe, record, summary, report, incidents."""
