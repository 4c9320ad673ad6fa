"""Where the record is kept when the machine that looked is gone, on a branch or on S3, and what runs it there."""
