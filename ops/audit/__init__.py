"""Who changed what: a line of every change that our commands made, kept in the bucket, told as one timeline."""
