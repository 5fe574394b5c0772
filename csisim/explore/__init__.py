"""Campaigns over many seeds, on any executor; what fails is grouped, and each group is shrunk to what decides it."""
