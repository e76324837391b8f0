"""What every record that RetinaJ writes and reads is based on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PlainRecord(BaseModel):
    """Plain data that does not change. Unknown fields are refused, and so are infinite numbers, which JSON cannot hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
