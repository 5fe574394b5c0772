"""Simulated host parts that know neither CSI nor TrueNAS: mount table, devices, files."""
