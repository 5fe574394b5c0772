"""The library of real failures: what was seen in the field, each entry done again and judged, simulated or real."""
