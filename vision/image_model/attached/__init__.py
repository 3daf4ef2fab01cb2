"""What a host may attach to an image model: an IP-Adapter, a ControlNet. Jobs without them notice nothing."""
