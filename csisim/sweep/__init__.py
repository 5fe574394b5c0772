"""The systematic sweep: each call, mount and file operation of a volume's life fails once, and the end is looked at."""
