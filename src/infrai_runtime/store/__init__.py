"""State: what must survive (``durable``), what may be lost (``ephemeral``), and files (``blob``)."""
