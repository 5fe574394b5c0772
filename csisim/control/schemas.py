"""What the control server takes: requests as they are checked before anything is done."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from csisim.faults.grammar import MAX_LENGTH

MAX_ITEMS = 10_000

RuleText = Annotated[str, Field(max_length=MAX_LENGTH, examples=["mount.umount{vol=pvc-7*}: 2*error(EBUSY)"])]
RuleName = Annotated[str, Field(max_length=100, description="Without one, one is made up.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RuleIn(_Strict):
    """One rule."""

    rule: RuleText
    name: RuleName = ""


class RulesTextIn(_Strict):
    """Rules as in a file: one per line, with comments."""

    text: Annotated[str, Field(max_length=1 << 20)]


class RuleChange(_Strict):
    """Another text for a rule; its counts begin anew."""

    rule: RuleText


class CrashIn(_Strict):
    """A process to end abruptly."""

    what: Literal["driver", "nas", "node", "reboot"]
    node: Annotated[str, Field(max_length=200, description="Which node; the first one by default.")] = ""
    down_s: Annotated[float, Field(ge=0, le=3600, description="Seconds that it stays away.")] = 0.0


RulesIn = RuleIn | RulesTextIn | Annotated[list[RuleIn | RuleText], Field(max_length=MAX_ITEMS)]
