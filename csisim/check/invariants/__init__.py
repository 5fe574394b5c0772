"""The eighteen invariants, I1 to I18, each a check of its own: a history in, what does not hold out.

Each is a function of the index of a history. `looked_at` 0 says that the history never came near it.
"""
