"""The channel: what happens to a released image between its release and the extraction of what it hides."""

from models.channel.channel import PNG, Channel, channel_problems
from models.channel.steps import Step

__all__ = ["PNG", "Channel", "Step", "channel_problems"]
