"""`fab doctor`: whether each part of the system is as it should be, and what mends it."""
