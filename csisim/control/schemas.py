"""What the control server takes: requests as they are checked before anything is done."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

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


def _shape(body: Any) -> str:
    """Which of its shapes a body has, so that an error is about that one alone."""
    if isinstance(body, (list, RuleIn)):
        return "list" if isinstance(body, list) else "rule"
    return "text" if isinstance(body, RulesTextIn) or (isinstance(body, dict) and "text" in body) else "rule"


def _item_shape(item: Any) -> str:
    return "text" if isinstance(item, str) else "rule"


_Item = Annotated[
    Annotated[RuleIn, Tag("rule")] | Annotated[RuleText, Tag("text")],
    Discriminator(_item_shape),
]
RulesIn = Annotated[
    Annotated[RuleIn, Tag("rule")]
    | Annotated[RulesTextIn, Tag("text")]
    | Annotated[list[_Item], Field(max_length=MAX_ITEMS), Tag("list")],
    Discriminator(_shape),
]
