"""Whether a live account is as safe as the settings say: what is read, the rules, and how it is told."""
