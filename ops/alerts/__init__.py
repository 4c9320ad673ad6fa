"""Who is told of incidents, when, and how: decided from numbers and from what was told before."""
