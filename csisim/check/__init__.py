"""What a history must be like: invariants, linearizability, lists, cost and races. Pure: a history in, verdicts out."""
