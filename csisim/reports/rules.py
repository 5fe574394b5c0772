"""What each check holds a run to, in a few words for a table."""

from typing import Final

TITLES: Final = {
    "I1": "No data is lost",
    "I2": "One object per name",
    "I3": "Nothing is left behind",
    "I4": "A single writer",
    "I5": "Steps in their order",
    "I6": "A mount is what it was said to be",
    "I7": "A repeat gets the same answer",
    "I8": "The right code",
    "I9": "Unknown stays unknown",
    "I10": "One mutation of a volume at a time",
    "I11": "Every wish comes true in the end",
    "I12": "Sizes agree",
    "I13": "Snapshots keep their content",
    "I14": "Lists are complete",
    "I15": "No secret gets out",
    "I16": "Closing is safe",
    "I17": "Only our own is touched",
    "I18": "The NAS is not overrun",
    "linearizability": "Answers fit one order of calls",
    "cost": "Calls cost what they should",
    "races": "Decisions rest on fresh state",
    "termination": "The run comes to an end",
    "expectation": "What the scenario expects",
}
"""Title by name of the check; a check that is not here is shown by its name alone."""


def order(check: str) -> tuple[int, int, str]:
    """Sorts I2 before I10, and the invariants before the rest."""
    number = check[1:]
    return (0, int(number), "") if check[:1] == "I" and number.isascii() and number.isdigit() else (1, 0, check)
