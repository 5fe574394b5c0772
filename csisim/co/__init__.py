"""The orchestrator's side: sidecars and kubelet with their time-outs, and what they repeat after."""
