"""Which answers say little because of a fault: the rules of a run break the driver's surroundings, and its calls."""

from typing import Literal

from csisim.check.index import Call, Index, value_of

Trust = Literal["", "code", "effect", "answer"]
"""What cannot be relied upon: the code of a refusal; that a refused call had no effect; the whole answer."""


class Faults:
    """What faults may have done to the answers of calls."""

    def __init__(self, history: Index) -> None:
        self._firings: list[tuple[int, str, Trust]] = []
        for event in history.faults:
            action, site = str(value_of(event).get("action", "")), event.f
            if action.startswith(("corrupt", "truncate")):
                trust: Trust = "answer"
            elif action.startswith(("error", "exhaust")):
                # Refused behind the effect is a lie: it has happened.
                trust = "effect" if site.endswith((".after", ".reply")) else "code"
            else:
                continue
            served = history.rpc_of(event)
            self._firings.append((event.seq, served.f if served else "", trust))

    def doubt(self, call: Call) -> Trust:
        """What of a call's answer cannot be relied upon."""
        found = {trust for seq, method, trust in self._firings
                 if call.begin < seq < call.end and method in ("", call.f)}  # fmt: skip
        if "answer" in found:
            return "answer"
        return "" if call.ok else "effect" if "effect" in found else "code" if found else ""
