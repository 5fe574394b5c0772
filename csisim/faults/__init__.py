"""Faults as data: the rule language, the plane that decides, the catalogue of sites.

Nothing in here breaks anything by itself. Wrappers around calls, mounts and connections ask the plane whenever they
pass a site, and do what it says.
"""
