"""Tests of vidsr.jobs.fault_report."""
