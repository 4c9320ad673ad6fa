"""The machine room: settings, the demo, uptime."""
