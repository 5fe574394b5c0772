"""Random streams by name: what one part draws does not shift what another part draws."""

import hashlib
import random


class Streams:
    """Independent streams derived from one seed.

    Args:
        seed: the run's seed; equal seeds give equal streams on every machine.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: str) -> random.Random:
        """The stream of a name; asked again it goes on where it was."""
        found = self._streams.get(name)
        if found is None:
            digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=16).digest()
            # An int: a Random seeded with one does not depend on how str or bytes are hashed.
            found = self._streams[name] = random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - to be repeated
        return found
